import { setMaxListeners } from 'node:events'
import type { WarehouseReader } from '../sdk/index.js'

/** The same warehouse, whose queries are stopped when the signal is aborted: those that have a signal of their own by both. */
export function stoppable<T extends WarehouseReader>(warehouse: T, signal: AbortSignal): T {
  // Any number of queries may wait for it.
  setMaxListeners(0, signal)
  const query: T['query'] = (statement, options = {}) =>
    warehouse.query(statement, { ...options, signal: options.signal ? AbortSignal.any([signal, options.signal]) : signal })
  return new Proxy(warehouse, {
    get: (target, key) => {
      if (key === 'query') return query
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
