import { isPipeError, type LogFilter } from '../../sdk/index.js'
import { type AskOptions, askLogs, type Given, type TooMuch } from './ask.js'
import { RpcBlockLogsError, RpcUnbelievedError } from './errors.js'
import { halvesOf, wantedBy } from './filter.js'
import { askHeader } from './headers.js'
import { compareLogs, doubled } from './parse.js'
import type { LogsPort } from './port.js'
import { loadProver } from './prover.js'
import { askReceipts, logsIn } from './receipts.js'

/**
 * The logs of one block that nobody gives in one answer: by halves of the filter, else from the receipts of the block, else
 * from each receipt. `tooMuch`: what was said to the whole. @throws {PipeError}
 */
export async function askBlock(port: LogsPort, filter: LogFilter, block: bigint, options: AskOptions, tooMuch: TooMuch): Promise<Given> {
  const parts = await byHalves(port, filter, block, options)
  if (parts) return merged(parts)
  try {
    const prover = await loadProver()
    const header = await askHeader(port, block, { ...options, prover: undefined })
    const given = await askReceipts(port, header, { ...options, prover, proved: false })
    return { logs: logsIn(given, wantedBy(filter)), endpoints: given.endpoints }
  } catch (error) {
    if (!isPipeError(error) || error.blame === 'outage') throw error
    throw tooMuch.outage ?? new RpcBlockLogsError(block, [tooMuch.why, error.message])
  }
}

/** Undefined as soon as a part that can't be halved is too much. */
async function byHalves(port: LogsPort, filter: LogFilter, block: bigint, options: AskOptions): Promise<readonly Given[] | undefined> {
  const halves = halvesOf(filter)
  if (!halves) return undefined
  const all: Given[] = []
  for (const half of halves) {
    const given = await askLogs(port, half, block, block, options)
    const parts = 'logs' in given ? [given] : await byHalves(port, half, block, options)
    if (!parts) return undefined
    all.push(...parts)
  }
  return all
}

/** Answers to parts of a filter as one. @throws {RpcUnbelievedError} when they are not of one chain. */
export function merged(parts: readonly Given[]): Given {
  const [first] = parts
  if (first && parts.length === 1) return first
  const logs = parts.flatMap((part) => part.logs).sort(compareLogs)
  const endpoints = [...new Set(parts.flatMap((part) => part.endpoints))]
  const problem = doubled(logs)
  if (problem !== undefined) throw new RpcUnbelievedError(new Map([[endpoints.join(' and '), problem]]))
  return { logs, endpoints }
}
