import { type Belief, isPipeError, type LogsPage, type RpcLog } from '../../sdk/index.js'
import { type AskOptions, type Given, logsCall, receiptsCall, takeRefused } from './ask.js'
import { RpcUnbelievedError, RpcUnprovableError } from './errors.js'
import type { Wanted } from './filter.js'
import { askHeader, askHeaders, type Header } from './headers.js'
import { readLogs } from './parse.js'
import type { LogsPort } from './port.js'
import type { Prover } from './prover.js'
import { askReceipts, isReceipts, judgeReceipts, logsIn } from './receipts.js'

/** Blocks whose headers are held at once, and that are given as one page. */
export const CHUNK = 256n
/** Receipts that are asked for at once: a block's may take megabytes. */
const RECEIPTS = 32

/** What a stretch of blocks was believed by. */
interface Evidence {
  headers: number
  receipts: number
  /** Blocks whose bloom may hold what was asked, where two endpoints agreed and nobody had the receipts. */
  agreed: number
  /** Who gave logs or receipts. */
  readonly endpoints: Set<string>
}

/** Believes logs as much as is asked for, or finds others. */
export class Believer {
  readonly #port: LogsPort
  readonly #wanted: Wanted
  readonly #verify: Belief
  readonly #prover: Prover
  readonly #options: AskOptions

  constructor(port: LogsPort, wanted: Wanted, verify: Belief, prover: Prover, options: AskOptions) {
    this.#port = port
    this.#wanted = wanted
    this.#verify = verify
    this.#prover = prover
    this.#options = options
  }

  /** A stretch of at most `CHUNK` blocks with what was given for it. @throws {PipeError} when nobody can be believed. */
  async page(from: bigint, to: bigint, given: Given): Promise<LogsPage> {
    const { signal, count } = this.#options
    const proved = this.#verify === 'proof'
    // The one behind says that the last one is its parent.
    const beyond = proved && to < (this.#port.newest() ?? 0n) ? to + 1n : to
    const all = await askHeaders(this.#port, from, beyond, { signal, count, prover: proved ? this.#prover : undefined })
    const blocks = byBlock(given.logs)
    const own = beyond > to ? all.slice(0, -1) : all
    const headers = await Promise.all(own.map((header) => this.#sure(header, blocks.get(header.number))))
    const evidence: Evidence = { headers: all.length, receipts: 0, agreed: 0, endpoints: new Set(given.endpoints) }
    const doubted = headers.filter((header) => this.#isDoubted(header, blocks.get(header.number)))
    if (proved || this.#verify === 'receipts') await this.#byReceipts(doubted, blocks, given.endpoints, evidence)
    else await this.#elsewhere(doubted, blocks, given.endpoints, evidence)
    const logs = headers.flatMap(({ number }) => blocks.get(number) ?? [])
    return {
      from,
      to,
      logs,
      evidence: { logs: logs.length, verified: this.#verify, ...counted(evidence), ...takeRefused(count) },
      endpoints: [...evidence.endpoints],
      parentHash: headers[0]?.parentHash,
      lastHash: headers.at(-1)?.hash,
    }
  }

  /** The header of a block; where it denies logs that are said to be of it, one whose hash was computed. */
  async #sure(header: Header, logs: readonly RpcLog[] | undefined): Promise<Header> {
    if (!logs || this.#mayHold(header)) return header
    try {
      return await askHeader(this.#port, header.number, { ...this.#options, prover: this.#prover })
    } catch (error) {
      // Nothing can be computed here: then others and the receipts decide.
      if (error instanceof RpcUnprovableError || error instanceof RpcUnbelievedError) return header
      throw error
    }
  }

  /** Whether the logs of a block need more than its header to be believed. */
  #isDoubted(header: Header, logs: readonly RpcLog[] | undefined): boolean {
    const may = this.#mayHold(header)
    if (this.#verify === 'receipts' || this.#verify === 'proof') return may || logs !== undefined
    return logs ? !may || logs.some(({ blockHash }) => blockHash !== header.hash) : may
  }

  #mayHold({ hash, bloom, transactions, block }: Header): boolean {
    const { bloomMay, hasStateSyncs, isStateSync } = this.#prover
    if (bloomMay(bloom, this.#wanted.filter)) return true
    const last = transactions.at(-1)
    if (last === undefined || !hasStateSyncs(this.#port.chain.id)) return false
    return isStateSync({ blockNumber: (block as { number: unknown }).number, blockHash: hash, hash: last })
  }

  /** Asks the other endpoints for what one did not have; where they have nothing either, the receipts decide. */
  async #elsewhere(
    doubted: readonly Header[],
    blocks: Map<bigint, readonly RpcLog[]>,
    endpoints: readonly string[],
    evidence: Evidence,
  ): Promise<void> {
    const [first, last] = [doubted[0], doubted.at(-1)]
    if (!first || !last) return
    const { signal } = this.#options
    const [from, to] = [first.number, last.number]
    const call = logsCall(this.#wanted.filter, from, to)
    let open = doubted
    let agreed = false
    for await (const turn of this.#port.turns({ signal, block: to, rounds: 1 })) {
      if (endpoints.includes(turn.endpoint)) continue
      const { values, errors } = await turn.batch([call], { signal, block: to })
      const logs = errors ? '' : readLogs(values[0], from, to, this.#wanted)
      if (typeof logs === 'string') {
        if (logs !== '') this.#refuse([turn.endpoint], from, logs)
        continue
      }
      if ((await this.#port.headBelow(turn.endpoint, to)) !== undefined) continue
      agreed = true
      const others = byBlock(logs)
      const fitting = open.filter((header) => !this.#isDoubted(header, others.get(header.number)))
      for (const { number } of fitting) {
        this.#refuse(
          endpoints,
          number,
          `${countOf(blocks.get(number))} of block ${number}, of which ${turn.endpoint} has ${countOf(others.get(number))}`,
        )
        blocks.set(number, others.get(number) ?? [])
        evidence.endpoints.add(turn.endpoint)
      }
      open = open.filter((header) => !fitting.includes(header))
      if (open.length === 0) return
    }
    await this.#byReceipts(open, blocks, endpoints, evidence, agreed)
  }

  /** Takes the logs of blocks from their receipts. `agreed`: two endpoints say the same, which will do where nobody has receipts. */
  async #byReceipts(
    headers: readonly Header[],
    blocks: Map<bigint, readonly RpcLog[]>,
    endpoints: readonly string[],
    evidence: Evidence,
    agreed = false,
  ): Promise<void> {
    for (let i = 0; i < headers.length; i += RECEIPTS) {
      await Promise.all(
        headers.slice(i, i + RECEIPTS).map(async (header) => {
          const { number } = header
          const given = blocks.get(number) ?? []
          const logs = await this.#logsOf(header, given, agreed, evidence)
          if (sameLogs(given, logs)) return
          this.#refuse(endpoints, number, `${countOf(given)} of block ${number}, ${differenceOf(given, logs)}`)
          blocks.set(number, logs)
        }),
      )
    }
  }

  async #logsOf(header: Header, given: readonly RpcLog[], agreed: boolean, evidence: Evidence): Promise<readonly RpcLog[]> {
    const { number, hash } = header
    const proved = this.#verify === 'proof'
    let first
    try {
      first = await askReceipts(this.#port, header, { ...this.#options, prover: this.#prover, proved })
    } catch (error) {
      if (!isPipeError(error) || error.blame === 'outage' || proved || this.#verify === 'receipts') throw error
      if (!agreed || given.length > 0)
        throw new RpcUnbelievedError(new Map([[`block ${number}`, `its bloom may hold what was not given: ${error.message}`]]))
      evidence.agreed++
      return given
    }
    evidence.receipts++
    for (const endpoint of first.endpoints) evidence.endpoints.add(endpoint)
    const logs = logsIn(first, this.#wanted)
    // Of another fork, it says nothing of this block.
    const own = given.filter(({ blockHash }) => blockHash === hash)
    // No root holds the logs of state syncs.
    const sure = proved && !this.#prover.hasStateSyncs(this.#port.chain.id)
    return sure || holds(logs, own) ? logs : this.#byOthers(header, own, { logs, endpoints: first.endpoints }, evidence)
  }

  /** Receipts and logs of a block contradict each other: those of another endpoint decide, where they are like one of them. */
  async #byOthers(header: Header, given: readonly RpcLog[], first: Given, evidence: Evidence): Promise<readonly RpcLog[]> {
    const { number } = header
    const { signal } = this.#options
    const seen = [first]
    for await (const turn of this.#port.turns({ signal, block: number, rounds: 1 })) {
      if (first.endpoints.includes(turn.endpoint)) continue
      const { values, errors } = await turn.batch([receiptsCall(number)], { signal, block: number })
      if (errors) continue
      const receipts = judgeReceipts(
        this.#port,
        header,
        { prover: this.#prover, proved: this.#verify === 'proof' },
        values[0],
        turn.endpoint,
      )
      if (!isReceipts(receipts)) {
        this.#refuse([turn.endpoint], number, typeof receipts === 'string' ? receipts : receipts.message)
        continue
      }
      evidence.receipts++
      const logs = logsIn(receipts, this.#wanted)
      if (holds(logs, given)) {
        for (const other of seen) this.#refuse(other.endpoints, number, `receipts of block ${number} without what is in its logs`)
        return logs
      }
      seen.push({ logs, endpoints: [turn.endpoint] })
    }
    // Nobody's receipts have what was given: where two say the same, it is the logs that are wrong.
    const alike = seen.find((one) => seen.some((other) => other !== one && sameLogs(other.logs, one.logs)))
    if (alike) return alike.logs
    const whys = seen.flatMap(({ endpoints }) =>
      endpoints.map((endpoint) => [endpoint, `its receipts of block ${number} contradict its logs`] as const),
    )
    throw new RpcUnbelievedError(new Map(whys))
  }

  #refuse(endpoints: readonly string[], block: bigint, why: string): void {
    const { count } = this.#options
    for (const endpoint of endpoints) {
      count.refused.set(endpoint, (count.refused.get(endpoint) ?? 0) + 1)
      this.#port.refuse(endpoint, logsCall(this.#wanted.filter, block, block), why)
    }
  }
}

function byBlock(logs: readonly RpcLog[]): Map<bigint, readonly RpcLog[]> {
  const blocks = new Map<bigint, RpcLog[]>()
  let list: RpcLog[] = []
  let before: bigint | undefined
  for (const log of logs) {
    if (log.blockNumber !== before) blocks.set((before = log.blockNumber), (list = []))
    list.push(log)
  }
  return blocks
}

const countOf = (logs: readonly RpcLog[] = []): string => `${logs.length} log${logs.length === 1 ? '' : 's'}`

/** Whether each of some logs is among those of a block. */
function holds(logs: readonly RpcLog[], some: readonly RpcLog[]): boolean {
  return some.every((log) => logs.some((other) => other.logIndex === log.logIndex && sameLog(other, log)))
}

function sameLogs(a: readonly RpcLog[], b: readonly RpcLog[]): boolean {
  return a.length === b.length && a.every((log, i) => b[i] !== undefined && sameLog(log, b[i]))
}

function sameLog(a: RpcLog, b: RpcLog): boolean {
  return (
    a.logIndex === b.logIndex &&
    a.address === b.address &&
    a.data === b.data &&
    a.transactionIndex === b.transactionIndex &&
    a.transactionHash === b.transactionHash &&
    a.blockHash === b.blockHash &&
    a.topics.length === b.topics.length &&
    a.topics.every((topic, i) => topic === b.topics[i])
  )
}

function differenceOf(given: readonly RpcLog[], logs: readonly RpcLog[]): string {
  if (given.length !== logs.length) return `whose receipts have ${countOf(logs)}`
  const other = logs.find((log, i) => given[i] === undefined || !sameLog(log, given[i]))
  return `of which log ${other?.logIndex} is not what its receipt has`
}

/** What was counted, without zeros. */
const counted = (evidence: object): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(evidence).filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > 0))
