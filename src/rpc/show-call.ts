import type { RpcCall } from '../sdk/index.js'

/** A call for a message. */
export function showCall(call: RpcCall): string {
  return `${call.method}(${showParams(call.params)})`
}

/** Parameters of a call for a message: JSON, cut to `max` characters. */
function showParams(params: readonly unknown[], max = 120): string {
  const text = params
    .map((param) => JSON.stringify(param, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)) ?? 'undefined')
    .join(', ')
  return text.length > max ? `${text.slice(0, max - 1)}…` : text
}
