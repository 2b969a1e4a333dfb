import { afterEach, describe, expect, test } from 'vitest'
import { hook, type Hook } from '../../test/support/hook.js'
import { mailbox } from '../../test/support/mailbox.js'
import { proxiesOf } from '../net/proxies.js'
import { NOTICE_KINDS, type Receiver } from '../pipeline/receivers.js'
import type { Clock, RunEvent } from '../sdk/index.js'
import { Notifier } from './notifier.js'
import { sender } from './send.js'

const on = NOTICE_KINDS
const failed = (step: string): RunEvent => ({
  run: 'r1',
  at: 0,
  type: 'step:ended',
  step,
  outcome: 'failed',
  missing: 1,
  quarantined: 0,
  reason: 'odd',
})

/** Short sleeps pass at once and are noted; longer ones, which only limit something, last for ever. */
function simulated(): Clock & { readonly slept: number[] } {
  const slept: number[] = []
  const sleep = async (ms: number, signal?: AbortSignal) => {
    signal?.throwIfAborted()
    if (ms <= 40_000 && ms !== 10_000 && ms !== 20_000) {
      slept.push(ms)
      await new Promise((resolve) => setImmediate(resolve))
      return
    }
    await untilAborted(signal)
  }
  return { now: () => 0, monotonic: () => 0, slept, sleep }
}

async function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  signal?.throwIfAborted()
  return new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))
}

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

function notifier(receivers: readonly Receiver[], redact = (text: string) => text) {
  const clock = simulated()
  const warnings: string[] = []
  const from = { pipeline: 'miners', run: 'r1', warehouse: 'duckdb:m', host: 'here' }
  const send = sender({ from, clock, proxyOf: proxiesOf({}), redact })
  const warn = (message: string) => warnings.push(message)
  const each = receivers.map((receiver) => new Notifier({ receiver, told: [], clock, random: () => 0.5, send, warn }))
  const made = {
    see: (event: RunEvent) => each.forEach((one) => one.see(event)),
    close: async () => Promise.all(each.map((one) => one.close())),
  }
  open.push(() => made.close())
  return { made, clock, warnings }
}

const web = (to: Hook, path = '/hook', headers = {}): Receiver => ({ type: 'webhook', url: to.url + path, headers, on })
const bodies = ({ posts }: Hook) => posts.map(({ body }) => JSON.parse(body) as { kind: string; steps: string[]; text: string })

describe('a notice', () => {
  test('goes to all who want its kind, in the form of each, and what comes together is one', async () => {
    const [json, slack, other, mails] = [await hook(), await hook(), await hook(), await mailbox()]
    const { made, clock, warnings } = notifier([
      web(json, '/hook?key=k', { Authorization: 'Bearer t' }),
      { type: 'slack', url: `${slack.url}/services/T/B/x`, headers: {}, on },
      { type: 'webhook', url: other.url, headers: {}, on: ['completion'] },
      { type: 'smtp', url: `smtp://me:p%40ss@127.0.0.1:${mails.port}`, from: 'Pipe <pipe@example.com>', to: ['ops@example.com'], on },
    ])
    made.see(failed('a'))
    made.see(failed('b'))
    made.see(failed('a'))
    const known = ['a', 'b'].map((about) => ({ kind: 'failure', about, at: 0 }))
    expect(await made.close()).toEqual([known, known, known, known])
    expect(json.posts.map(({ path, headers }) => [path, headers.authorization, headers['content-type']])).toEqual([
      ['/hook?key=k', 'Bearer t', 'application/json'],
    ])
    expect(bodies(json)).toEqual([
      {
        kind: 'failure',
        ...{ pipeline: 'miners', run: 'r1', warehouse: 'duckdb:m', host: 'here' },
        title: 'miners: failed (a, b)',
        steps: ['a', 'b'],
        lines: ['a failed: odd', 'b failed: odd'],
        at: '1970-01-01T00:00:00.000Z',
      },
    ])
    expect(slack.posts[0]?.path).toBe('/services/T/B/x')
    expect(bodies(slack)[0]?.text).toContain('*miners: failed (a, b)*\na failed: odd\n')
    expect(other.posts).toEqual([])
    expect(mails.said).toContain(`AUTH PLAIN ${Buffer.from('\0me\0p@ss').toString('base64')}`)
    expect(mails.said).toEqual(
      expect.arrayContaining([
        'MAIL FROM:<pipe@example.com>',
        'RCPT TO:<ops@example.com>',
        'Subject: miners: failed (a, b)',
        'a failed: odd',
      ]),
    )
    expect([warnings, clock.slept]).toEqual([[], [5_000, 5_000, 5_000, 5_000]])
  })

  test('is sent again after 1, 4 and 16 seconds while its receiver is in trouble', async () => {
    const to = await hook()
    to.statuses.push(500, 429, 503)
    const { made, clock, warnings } = notifier([web(to)])
    made.see(failed('a'))
    while (to.posts.length < 4) await new Promise((resolve) => setImmediate(resolve))
    expect((await made.close()).flat().length).toBe(1)
    expect([to.posts.length, clock.slept, warnings]).toEqual([4, [5_000, 1_000, 4_000, 16_000], []])
  })

  test('that is refused for good is not sent again, is said without a secret, and is not taken for told', async () => {
    const to = await hook()
    const mails = await mailbox()
    to.statuses.push(404)
    const secret = 'a1b2c3d4e5f6g7h8'
    const { made, warnings } = notifier([
      web(to, `/services/${secret}`, { Authorization: 'Bearer very-secret-token' }),
      { type: 'smtp', url: `smtp://127.0.0.1:${mails.port}`, from: 'a@b.c', to: ['nobody@example.com'], on },
    ])
    made.see(failed('a'))
    expect(await made.close()).toEqual([[], []])
    const host = to.url.replace('http://', '')
    const hint = '(look at `url` of this receiver in `notify`, and whether it can be reached from here); the run is not affected'
    expect([...warnings].sort()).toEqual([
      `nobody was told of a failure by smtp, in 1 attempt: 127.0.0.1:${mails.port} did not take the mail: Can't send mail - all recipients were rejected: 550 no such mailbox ${hint}`,
      `nobody was told of a failure by webhook, in 1 attempt: ${host} answered 404: *** *** ${hint}`,
    ])
    expect(to.posts.length).toBe(1)
  })

  test('that nobody takes is given up: the end of a run waits for it no longer than for its limit', async () => {
    const closed = new Notifier({
      receiver: web(await hook()),
      told: [],
      // The limit of closing is over at once; no other sleep is.
      clock: { ...simulated(), sleep: (ms, signal) => (ms === 20_000 ? Promise.resolve() : untilAborted(signal)) },
      random: () => 0.5,
      send: (_receiver, _notice, signal) => untilAborted(signal),
      warn: (message) => said.push(message),
    })
    const said: string[] = []
    closed.see(failed('a'))
    expect(await closed.close()).toEqual([])
    expect(said).toEqual(['nobody was told of a failure by webhook, in 1 attempt: This operation was aborted; the run is not affected'])
  })
})
