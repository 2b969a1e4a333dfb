import type { Param } from './values.js'

/** What `$name` may stand for: names (`from`, `now`, `chain.id`) with their typed values. */
export type Scope = ReadonlyMap<string, Param>
