import { setImmediate } from 'node:timers/promises'

/** Resolves when signals, timers and sockets had their turn: for work that would keep them waiting for seconds. */
export const turn = (): Promise<void> => setImmediate()
