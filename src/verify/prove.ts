import { setMaxListeners } from 'node:events'
import { type Batch, isPipeError, type Json, type PipeError, type PlanContext, type Row, type RunContext } from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import type { Step } from '../pipeline/pipeline.js'
import { type HowMany, seeded } from './choice.js'
import { compareRows } from './compare.js'
import { differsBelow } from './confidence.js'
import type { Moment } from '../plan/scope.js'
import { Findings, isComputed, outputsOf, type StepLook } from './look.js'
import { lower, ProofNoBlockError, ProvedChain } from './proved-chain.js'
import { type Choices, choicesOf, type Item } from './proved-items.js'
import { ProvingPool } from './proving-pool.js'
import type { StepProof } from './report.js'
import { collect, type Fetcher, pages } from './sample.js'
import { blockLineOf, lineOf, numberLineOf, stretchOf } from './stretches.js'

export interface ProveOptions {
  readonly look: StepLook
  readonly howMany: HowMany
  readonly seed: number
  readonly moment: Moment
  context(): PlanContext<never>
  fetchers(step: Step, config: Json): readonly Fetcher[]
  readonly signal: AbortSignal
}

/** How often a block is read again since something in it was put right. */
const AGAIN = 3
/** Blocks that are proved at once: what they ask goes to the endpoints together. */
const AT_ONCE = 16

/**
 * Reads blocks that are chosen by chance again, one by one, with the step's own `run` and endpoints whose answers are proved, and
 * compares the rows with the tables. Undefined: the step reads nothing from a chain.
 */
export async function prove(options: ProveOptions, findings: Findings): Promise<StepProof | undefined> {
  const { look, howMany, seed } = options
  // Very many calls wait for it at once.
  const signal = AbortSignal.any([options.signal])
  setMaxListeners(0, signal)
  const { step, plan, pipeline } = look
  if (isComputed(plan.wanted) || step.chain === undefined) return undefined
  const fetchers = options.fetchers(step, plan.config)
  const chain = new ProvedChain(fetchers, pipeline.chains.get(step.chain)?.id, signal)
  const choices = await choicesOf(look, howMany, seeded(seed, step.id), findings)
  if (!choices) return undefined
  tellUnplaced(look, findings)
  const tally = new Tally(choices)
  const proving = new Proving({ ...options, signal }, chain, tally)
  const items = choices.items[Symbol.asyncIterator]()
  const found: { readonly place: number; readonly findings: Findings }[] = []
  let place = 0
  const work = async (): Promise<void> => {
    for (let next = await items.next(); next.done !== true; next = await items.next()) {
      signal.throwIfAborted()
      const own = { place: place++, findings: new Findings(step.id) }
      await proving.prove(next.value, own.findings)
      if (own.findings.list.length > 0) found.push(own)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  // In the order of the blocks, whichever was proved first.
  for (const { findings: own } of found.sort((a, b) => a.place - b.place)) findings.take(own)
  for (const [host, { count, example }] of chain.refuted)
    findings.notes.add(`${host} gave ${count === 1 ? 'an answer' : `${count} answers`} that the block's own hashes refute: ${example}`)
  for (const [host, problem] of chain.failed) findings.notes.add(`${host} did not answer all that proofs need: ${problem}`)
  return tally.result(chain, fetchers.length)
}

class Proving {
  readonly #options: ProveOptions
  readonly #chain: ProvedChain
  readonly #tally: Tally
  /** Rows of the ledger whose ends were compared with the chain, by unit. */
  readonly #ends = new Set<string>()

  constructor(options: ProveOptions, chain: ProvedChain, tally: Tally) {
    this.#options = options
    this.#chain = chain
    this.#tally = tally
  }

  async prove(item: Item, findings: Findings): Promise<void> {
    const { signal } = this.#options
    const { unit, block } = item
    try {
      // Heights may have no block; the step says whether they may.
      const isThere = block === undefined || (await this.#chain.header(block)) !== null
      if (block !== undefined && isThere) await this.#chain.linked(block)
      const isReorganised = block !== undefined && (await this.#isReorganised(block, findings))
      const { different, unproved, failed } = await this.#compare(item, findings, isThere ? [] : ['no endpoint has a block of its number'])
      for (const error of failed) fail(error, unit, findings)
      if (isReorganised || different > 0 || failed.length > 0) this.#tally.wrong++
      else this.#tally.right(unproved)
    } catch (error) {
      signal.throwIfAborted()
      // Where nothing answers at all, each block would say so.
      if (!isPipeError(error) || (error.blame === 'outage' && !(error instanceof ProofNoBlockError) && this.#tally.isEmpty)) throw error
      this.#tally.wrong++
      fail(error, unit, findings)
    }
  }

  async #compare(item: Item, findings: Findings, doubts: readonly string[]) {
    const { unit, resets } = item
    const { piece, page, within } = await item.place(this.#chain)
    const { look, moment, signal } = this.#options
    const { step } = look
    const pool = new ProvingPool(this.#chain)
    const context = runContext({
      step: this.#options.context(),
      unit: { key: unit, piece, size: 1 },
      ports: { input: () => pages(page), rpc: pool, head: () => moment.head(step.chain ?? '') },
      signal,
      user: `step ${step.id}, proved by verify,`,
    })
    let made = await this.#run(context)
    // Right answers may lead to others that are not.
    for (let again = 0; await pool.settle(); again++) {
      if (again === AGAIN) pool.unproved.add('what was put right was given wrong again')
      if (again === AGAIN) break
      made = await this.#run(context)
    }
    const { rows, failed, numbers } = made
    if (failed.length > 0) return { different: 0, unproved: [], failed }
    const unproved = [...doubts, ...pool.unproved]
    const by = unproved.length === 0 ? 'the chain' : `the chain, unproved (${unproved.join(', ')}),`
    const again = { unit, rows, within, numbers, resets, lackIsTold: () => false, by, from: undefined, check: 'proof' as const }
    const { different } = await compareRows(look, again, findings)
    return { different, unproved, failed }
  }

  async #run(context: RunContext<never, never>) {
    const rows = new Map<string, Row[]>()
    const failed: PipeError[] = []
    let numbers: Batch['numbers']
    for await (const batch of this.#options.look.step.definition.run(context)) {
      this.#options.signal.throwIfAborted()
      collect(batch as Batch, rows)
      failed.push(...(batch.failed ?? []).map(({ error }) => error))
      numbers = batch.numbers ?? numbers
    }
    return { rows, failed, numbers }
  }

  /** Whether a ledger row that holds a block begins or ends with another hash than the chain has there now. */
  async #isReorganised(block: bigint, findings: Findings): Promise<boolean> {
    const { plan, done, advice } = this.#options.look
    const row = done.find((each) => {
      const stretch = stretchOf(plan.wanted, each)
      return plan.axis?.of === 'numbers' && stretch !== undefined && stretch[0] <= block && block <= stretch[1]
    })
    const stretch = row && stretchOf(plan.wanted, row)
    if (!row || !stretch || this.#ends.has(row.unit)) return false
    this.#ends.add(row.unit)
    const [first, last] = [
      row.parentHash === undefined ? null : await this.#chain.header(stretch[0]),
      row.lastHash === undefined ? null : await this.#chain.header(stretch[1]),
    ]
    const begins = first && lower(first.value.parentHash)
    const problems: string[] = []
    if (begins !== null && begins !== row.parentHash)
      problems.push(`block ${stretch[0]} goes on from ${begins}, and went on from ${row.parentHash} when it was read`)
    if (last && last.hash !== row.lastHash) problems.push(`block ${stretch[1]} is ${last.hash}, and was ${row.lastHash} when it was read`)
    const [problem] = problems
    if (problem === undefined) return false
    findings.add('proof', `${problem}: the chain was reorganised since`, advice.reset(row.unit), { unit: row.unit })
    return true
  }
}

/** The share of all that may be wrong at most, though what was proved is right; null where nothing was. */
function mayDiffer(proved: number, total: number): number | null {
  if (proved === 0) return null
  return proved === total ? 0 : differsBelow(proved)
}

function fail(error: PipeError, unit: string, findings: Findings): void {
  findings.add('proof', error.message, error.hint === undefined ? [] : [`# ${error.hint}`], { unit })
}

/** Of tables whose rows can't be found by block, only those rows are looked up that the chain gives. */
function tellUnplaced({ plan, ...look }: StepLook, findings: Findings): void {
  if (plan.wanted.kind !== 'stretches') return
  for (const { output, table } of outputsOf(look)) {
    const line = lineOf(output, table, plan.wanted) ?? numberLineOf(output, table, plan.wanted)
    if ((line && line.type.kind !== 'date') || blockLineOf(output, table)) continue
    const why = line ? `${line.column}, its range, says their day only` : 'it has no range'
    findings.notes.add(`${table.name}: rows that the chain does not give are not looked for, since ${why}`)
  }
}

/** What the proofs of one step came to. */
class Tally {
  wrong = 0
  readonly #choices: Choices
  readonly #reasons = new Map<string, number>()
  #proved = 0
  #unproved = 0

  constructor(choices: Choices) {
    this.#choices = choices
  }

  /** Whether nothing was looked at to its end yet. */
  get isEmpty(): boolean {
    return this.#proved + this.#unproved + this.wrong === 0
  }

  right(unproved: readonly string[]): void {
    if (unproved.length === 0) this.#proved++
    else this.#unproved++
    for (const reason of unproved) this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
  }

  result({ agreed, linkedBlocks }: ProvedChain, endpoints: number): StepProof {
    const { word, total, size } = this.#choices
    const proved = this.#proved
    return {
      word,
      total,
      chosen: size,
      proved,
      wrong: this.wrong,
      unproved: this.#unproved,
      reasons: [...this.#reasons].map(([reason, count]) => ({ reason, count })),
      differsBelow: this.wrong > 0 ? null : mayDiffer(proved, total),
      endpoints,
      agreed: [...agreed].sort(([a], [b]) => b - a).map(([endpoints, blocks]) => ({ endpoints, blocks })),
      linked: linkedBlocks,
    }
  }
}
