import { proxiesOf } from '../net/proxies.js'
import type { Notifier } from '../notify/notifier.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { localPlace, type RunEvent } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
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
  const warehouse = placeOf(pipeline.warehouse)
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
  const notifier: Notifier = new Opened({ receivers: pipeline.notify, told: told ?? [], clock, random, send, warn })
  return {
    see: (event) => notifier.see(event),
    close: async () => {
      const left = await notifier.close()
      await state?.rememberTold(pipeline.name, warehouse, left).catch(known)
    },
  }
}

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

/** The warehouse as people see it, which is known before it is opened: without user and password. */
function placeOf(url: string): string {
  const local = localPlace(url)
  if (local) return `${local.scheme}:${local.path}`
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
