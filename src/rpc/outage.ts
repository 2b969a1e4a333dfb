import type { PipeError } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { type EndpointTrouble, RpcLoginError, RpcQuotaError, RpcUnreachableError, WrongChainError } from './errors.js'

/** Why each endpoint gives nothing now. */
export function troublesOf(endpoints: readonly Endpoint[]): readonly EndpointTrouble[] {
  return endpoints.map((endpoint) => endpoint.trouble)
}

/** The error of a chain of which no endpoint answers. What a person can mend comes first. */
export function outageOf(chain: string, endpoints: readonly Endpoint[]): PipeError {
  const troubles = troublesOf(endpoints)
  const whys = new Set(endpoints.map((endpoint) => endpoint.why))
  if (whys.has(undefined) || whys.size === 0) return new RpcUnreachableError(chain, troubles)
  if (whys.has('quota')) return new RpcQuotaError(chain, troubles)
  if (whys.has('login')) return new RpcLoginError(chain, troubles)
  return new WrongChainError(chain, troubles)
}
