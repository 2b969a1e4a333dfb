import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/**
 * Percent by which the heap grows beyond what lived after a collection before the next one begins. V8 would let it grow to
 * several times that on a machine with memory to spare, and a run would take what nobody needs.
 */
const HEAP_GROWS = 20

/** Bytes for new objects, both halves together. V8 would take 32 MB of each process that works hard; this costs it little time. */
const NEW_OBJECTS = 8 * 2 ** 20

/** For the allocator that both engines bring with them. */
const GIVES_BACK = 'dirty_decay_ms:0,muzzy_decay_ms:0'

/** Keeps this process small. It must be called before DuckDB or chdb is loaded, which read their part of `env` only then. */
export function keepSmall(env: Record<string, string | undefined>): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWS}`)
  boundNewObjects()
  // What DuckDB frees goes back to the system at once, so that the process takes no more than DuckDB's `memory_limit` says.
  env.DUCKDB_JE_MALLOC_CONF ??= GIVES_BACK
  // The same for chdb: blocks of 50,000 transactions take 50 MB less, and statements over as many rows 75.
  env.JE_MALLOC_CONF ??= GIVES_BACK
}

/** The space of new objects has its bound from the command line of node alone; here it is grown as far as wanted, and kept from growing on. */
function boundNewObjects(): void {
  // It grows when more survives than it holds.
  const survivors: number[][] = []
  while (newObjects() < NEW_OBJECTS && survivors.length < 100) survivors.push(new Array<number>(8_000).fill(0))
  keepFromGrowing()
  // The isolate of a new thread (that of the loader of TypeScript) puts V8's own factor back, for all of the process.
  process.on('worker', (worker) => worker.once('online', keepFromGrowing))
}

const keepFromGrowing = (): void => setFlagsFromString('--semi-space-growth-factor=1')

const newObjects = (): number => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? NEW_OBJECTS
