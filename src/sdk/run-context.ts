import { PipeError } from './errors.js'
import type { HttpClient } from './http.js'
import type { RpcPool } from './rpc.js'
import type { InputPage, PlanContext, RunContext, Unit } from './step.js'
import type { Json } from './values.js'

/** A step reached for something that it is not given where it runs: a gate that is verified asks no endpoint. */
export class PortMissingError extends PipeError {
  readonly code = 'PORT_MISSING'
  override readonly hint = '`run` of the step may use what is given there only; the warehouse always is'
  constructor(
    readonly port: string,
    user: string,
  ) {
    super(`${user} asks for \`${port}\`, which it is not given`)
  }
}

/** What `run` reaches besides the warehouse. Of those that are left out, `budget` has no end, and the others can't be used. */
export interface Ports {
  readonly input?: () => AsyncIterable<InputPage>
  readonly rpc?: RpcPool
  readonly http?: HttpClient
  readonly head?: () => Promise<bigint>
  readonly budget?: RunContext<never, never>['budget']
}

export interface RunContextOptions {
  /** What the step and its surroundings are, as `plan` got it. */
  readonly step: PlanContext<never>
  readonly unit: Unit
  readonly cursor?: Json
  readonly ports: Ports
  readonly signal: AbortSignal
  /** Who runs, for the error about a port that is left out: `step blocks`, `a gate in verify`. */
  readonly user: string
}

/**
 * The only place where what `run` gets is put together: a run, a look by verify and a test of a step all come here.
 *
 * @throws {PortMissingError} when `run` uses a port that is left out, not before.
 */
export function runContext({ step, unit, cursor, ports, signal, user }: RunContextOptions): RunContext<never, never> {
  const missing = (port: keyof Ports): never => {
    throw new PortMissingError(port, user)
  }
  const { input = () => missing('input'), head = () => missing('head'), budget = endless } = ports
  // What is spread comes last: V8 takes microseconds for each field that an object made by spreading gets afterwards.
  return {
    unit,
    // It fits the definition's own schema, which is where its type comes from.
    cursor: cursor as never,
    input,
    get rpc() {
      return ports.rpc ?? missing('rpc')
    },
    get http() {
      return ports.http ?? missing('http')
    },
    head,
    budget,
    signal,
    ...step,
  }
}

const endless = { take: () => true }
