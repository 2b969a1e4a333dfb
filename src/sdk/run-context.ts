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
  /** Left out, nothing is known to be covered. */
  readonly covered?: RunContext<never, never>['covered']
  readonly write?: RunContext<never, never>['write']
  readonly program?: RunContext<never, never>['program']
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
export function runContext(options: RunContextOptions): RunContext<never, never> {
  return new Context(options)
}

const endless = { take: () => true }
const nothing = () => []

/** A class, since one is made for every unit: an object put together by spreading takes ten times the memory. */
class Context implements RunContext<never, never> {
  readonly pipeline
  readonly step
  readonly config
  readonly scope
  readonly chain
  readonly outputs
  readonly into
  readonly tables
  readonly warehouse
  readonly unit
  readonly cursor
  readonly input
  readonly head
  readonly budget
  readonly covered
  readonly write
  readonly program
  readonly signal
  readonly #ports: Ports
  readonly #user: string

  constructor({ step, unit, cursor, ports, signal, user }: RunContextOptions) {
    this.pipeline = step.pipeline
    this.step = step.step
    this.config = step.config
    this.scope = step.scope
    this.chain = step.chain
    this.outputs = step.outputs
    this.into = step.into
    this.tables = step.tables
    this.warehouse = step.warehouse
    this.unit = unit
    // It fits the definition's own schema, which is where its type comes from.
    this.cursor = cursor as never
    this.#ports = ports
    this.#user = user
    this.input = ports.input ?? (() => this.#missing('input'))
    this.head = ports.head ?? (() => this.#missing('head'))
    this.budget = ports.budget ?? endless
    this.covered = ports.covered ?? nothing
    this.write = ports.write ?? (() => this.#missing('write'))
    this.program = ports.program ?? (() => this.#missing('program'))
    this.signal = signal
  }

  get rpc() {
    return this.#ports.rpc ?? this.#missing('rpc')
  }

  get http() {
    return this.#ports.http ?? this.#missing('http')
  }

  #missing(port: keyof Ports): never {
    throw new PortMissingError(port, this.#user)
  }
}
