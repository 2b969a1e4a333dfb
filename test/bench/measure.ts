/** What one timed piece of work took. CPU is that of this process with all its threads, user and system. */
export interface Spent {
  readonly ms: number
  readonly cpuMs: number
}

/** One way to do the work. Only `work` is timed. */
export interface Contender {
  before?(): Promise<void>
  work(): Promise<void>
  after?(): Promise<void>
}

export async function timed({ before, work, after }: Contender): Promise<Spent> {
  await before?.()
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  await after?.()
  return { ms, cpuMs: (user + system) / 1000 }
}

/** Medians of interleaved pairs. Ratios are those of each pair, before the median. */
export interface Pairs {
  readonly ours: Spent
  readonly theirs: Spent
  /** Speed of ours as part of theirs: 0.5 is half as fast. */
  readonly speed: number
  /** CPU of ours as a multiple of theirs. */
  readonly cpu: number
}

/** Measures two ways to do the same work in turns, each first in every other round, after one round to warm up. */
export async function pairs(rounds: number, ours: Contender, theirs: Contender): Promise<Pairs> {
  const found: { ours: Spent; theirs: Spent }[] = []
  for (let round = 0; round <= rounds; round++) {
    let pair: { ours: Spent; theirs: Spent }
    if (round % 2 === 0) {
      const first = await timed(theirs)
      pair = { ours: await timed(ours), theirs: first }
    } else {
      pair = { ours: await timed(ours), theirs: await timed(theirs) }
    }
    if (round > 0) found.push(pair)
  }
  const of = (value: (pair: { ours: Spent; theirs: Spent }) => number) => median(found.map(value))
  return {
    ours: { ms: of((pair) => pair.ours.ms), cpuMs: of((pair) => pair.ours.cpuMs) },
    theirs: { ms: of((pair) => pair.theirs.ms), cpuMs: of((pair) => pair.theirs.cpuMs) },
    speed: of((pair) => pair.theirs.ms / pair.ours.ms),
    cpu: of((pair) => pair.ours.cpuMs / pair.theirs.cpuMs),
  }
}

/** Medians of one way alone, after one round to warm up. */
export async function alone(rounds: number, ours: Contender): Promise<Spent> {
  const found: Spent[] = []
  for (let round = 0; round <= rounds; round++) {
    const spent = await timed(ours)
    if (round > 0) found.push(spent)
  }
  return { ms: median(found.map(({ ms }) => ms)), cpuMs: median(found.map(({ cpuMs }) => cpuMs)) }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
