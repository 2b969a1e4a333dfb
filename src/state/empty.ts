import type { StateStore } from './store.js'

/** A store that does not exist, for those who only look. */
export const emptyStore: StateStore = {
  startRun: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  updateRun: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  wish: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  runs: () => Promise.resolve([]),
  run: () => Promise.resolve(undefined),
  recordCheck: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  checks: () => Promise.resolve([]),
  limits: () => Promise.resolve([]),
  rememberLimits: () => Promise.resolve(),
  rates: () => Promise.resolve([]),
  rememberRates: () => Promise.resolve(),
  rememberFacts: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  facts: () => Promise.resolve(undefined),
  told: () => Promise.resolve([]),
  rememberTold: () => Promise.resolve(),
  close: () => Promise.resolve(),
}
