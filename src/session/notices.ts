import { proxiesOf } from '../net/proxies.js'
import type { Notifier } from '../notify/notifier.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { Receiver } from '../pipeline/receivers.js'
import { localPlace, type RunEvent } from '../sdk/index.js'
import type { StateStore, Told } from '../state/store.js'
import { openState } from './open-state.js'
import { createRedactor } from './redact.js'
import { isDemo, type Surroundings, type World } from './surroundings.js'

export interface NoticesOptions {
  readonly pipeline: Pipeline
  readonly surroundings: Surroundings
  readonly world: World
  readonly run: string
  /** What people know of is kept here from run to run. Undefined: it could not be opened. */
  readonly state: StateStore | undefined
  /** Says that somebody could not be told. Without secrets already. */
  warn(message: string): void
}

/** The notices of a run. */
export interface Notices {
  see(event: RunEvent): void
  /** Sends what is left, within 20 seconds. Never fails. */
  close(): Promise<void>
}

/** Tells the receivers of a pipeline how a run goes; undefined where it has none, or it is a demo. */
export async function openNotices(options: NoticesOptions): Promise<Notices | undefined> {
  const { pipeline, surroundings, world, run, state } = options
  if (pipeline.notify.length === 0 || isDemo(world)) return undefined
  const { clock, random, host, env } = surroundings
  const warehouse = toldPlace(pipeline.warehouse)
  const redact = createRedactor(pipeline.secrets)
  const warn = (message: string) => options.warn(redact(message))
  const known = (error: unknown) => warn(`what people were told of is not known: ${wordsOf(error)}; they may be told again`)
  const [{ Notifier: Opened }, { sender }] = await Promise.all([import('../notify/notifier.js'), import('../notify/send.js')])
  const told = await state?.told(pipeline.name, warehouse).catch((error: unknown) => {
    known(error)
    return undefined
  })
  const from = { pipeline: pipeline.name, run, warehouse, host }
  const send = sender({ from, clock, proxyOf: proxiesOf(env), redact })
  const notifiers = receiverNames(pipeline.notify).map(([name, receiver]): [string, Notifier] => {
    return [name, new Opened({ receiver, told: toldTo(told ?? [], name), clock, random, send, warn })]
  })
  return {
    see: (event) => {
      for (const [, notifier] of notifiers) notifier.see(event)
    },
    close: async () => {
      const left = notifiers.map(async ([receiver, notifier]) => (await notifier.close()).map((problem) => ({ ...problem, receiver })))
      await state?.rememberTold(pipeline.name, warehouse, (await Promise.all(left)).flat()).catch(known)
    },
  }
}

/** Receivers by kind and host, which say nothing secret; with a number from the second on. */
export function receiverNames(receivers: readonly Receiver[]): readonly (readonly [name: string, Receiver])[] {
  const seen = new Map<string, number>()
  return receivers.map((receiver) => {
    const name = `${receiver.type} ${new URL(receiver.url).host}`
    const n = (seen.get(name) ?? 0) + 1
    seen.set(name, n)
    return [n === 1 ? name : `${name} ${n}`, receiver]
  })
}

/** What a receiver was told, of what all were. */
export const toldTo = (told: readonly Told[], name: string): readonly Told[] =>
  told.filter(({ receiver }) => receiver === name || receiver === '')

/** Tells the receivers of a run that could not begin. Never fails. */
export async function tellFailedStart(
  options: Pick<NoticesOptions, 'pipeline' | 'surroundings' | 'world' | 'warn'> & {
    /** The address of the state store. */
    readonly state: string
    readonly error: unknown
  },
): Promise<void> {
  const { pipeline, surroundings, world, error } = options
  if (pipeline.notify.length === 0 || isDemo(world)) return
  const run = surroundings.newId()
  // It may be what failed.
  const state = await openState(options.state, surroundings).catch(() => undefined)
  try {
    const notices = await openNotices({ ...options, run, state })
    const words = createRedactor(pipeline.secrets)(wordsOf(error))
    const at = surroundings.clock.now()
    notices?.see({ run, at, type: 'run:ended', outcome: 'error', exitCode: 2, error: `the run could not begin: ${words}` })
    await notices?.close()
  } finally {
    await state?.close()
  }
}

/** The warehouse as what people were told is kept by, which is known before it is opened: without user and password. */
export function toldPlace(url: string): string {
  const local = localPlace(url)
  if (local) return `${local.scheme}:${local.path}`
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
