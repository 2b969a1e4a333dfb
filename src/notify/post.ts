import { Exchange, type Outcome } from '../net/exchange.js'
import { Flight } from '../net/flight.js'
import { Line } from '../net/line.js'
import { basicOf, loginOf, type ProxyOf } from '../net/proxies.js'
import { scrubber, showText } from '../net/text.js'
import type { WebReceiver } from '../pipeline/receivers.js'
import type { Clock } from '../sdk/index.js'
import { NoticeFailedError } from './notice-failed.js'

const TIMEOUT_MS = 10_000
const MAX_BYTES = 1_000_000
/** Another try may be answered otherwise. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

/** Posts JSON, through a proxy where there is one. @throws {NoticeFailedError} unless it is accepted. */
export async function post(
  receiver: WebReceiver,
  body: string,
  { clock, proxyOf }: { readonly clock: Clock; readonly proxyOf: ProxyOf },
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(receiver.url)
  const proxy = proxyOf(url)
  const line = new Line(url, proxy)
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  const login = loginOf(url)
  if (login) headers['authorization'] = basicOf(login)
  for (const [name, value] of Object.entries(receiver.headers)) headers[name.toLowerCase()] = value
  try {
    const outcome = await posted(line, { path: url.pathname + url.search, headers, body }, clock, signal)
    if (outcome.kind === 'reply' && outcome.status >= 200 && outcome.status < 300) return
    const said = showText(outcome.text, scrubber(url, receiver.headers, proxy?.url))
    if (outcome.kind === 'failed') throw new NoticeFailedError(url.host, `can't be reached: ${said}`, true)
    const { status } = outcome
    throw new NoticeFailedError(url.host, `answered ${status}${said === '' ? '' : `: ${said}`}`, status >= 500 || PASSING.has(status))
  } finally {
    await line.close()
  }
}

async function posted(
  line: Line,
  request: { readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: string },
  clock: Clock,
  signal: AbortSignal,
): Promise<Outcome> {
  const over = new AbortController()
  try {
    return await new Promise<Outcome>((resolve) => {
      const posting = new Posting(resolve)
      line.send({ method: 'POST', ...request }, posting)
      const until = AbortSignal.any([over.signal, signal])
      void clock.sleep(TIMEOUT_MS, until).then(
        () => posting.stop(`no answer within ${TIMEOUT_MS / 1_000} s`),
        () => posting.stop('the run has ended'),
      )
    })
  } finally {
    over.abort()
  }
}

class Posting extends Exchange {
  readonly #done: (outcome: Outcome) => void

  constructor(done: (outcome: Outcome) => void) {
    super(MAX_BYTES, new Flight())
    this.#done = done
  }

  protected done(outcome: Outcome): void {
    this.#done(outcome)
  }
}
