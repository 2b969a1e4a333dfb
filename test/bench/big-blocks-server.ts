import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bloomOf, emptyBloom } from '../../src/sandbox/bloom.js'
import type { Call } from './answering.js'

/**
 * A JSON-RPC server of blocks with 50,000 transactions, in a process of its own: `fork(…, [FIRST, COUNT, TRANSACTIONS])`. Its first
 * message is its port, and it ends when its parent lets go of it. All answers are made before that. Receipts look as geth gives
 * them: a bloom each, and one in four has a log. The path of its URL is its latency in milliseconds.
 */
const [FIRST = 0, COUNT = 0, TRANSACTIONS = 0] = process.argv.slice(2).map(Number)
const GAS = 46_109
const BLOCK_SECONDS = 12
/** One receipt of so many has a log. A block is about 60 MB then. */
const RECEIPTS_A_LOG = 4

let seed = 2_463_534_242
function random(): number {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return seed >>> 0
}

function hex(digits: number): string {
  let text = ''
  while (text.length < digits) text += random().toString(16).padStart(8, '0')
  return `0x${text.slice(0, digits)}`
}

const quantity = (number: number): string => `0x${number.toString(16)}`
const hashOf = (number: number): string => `0x${number.toString(16).padStart(64, 'b')}`
/** Fewer addresses than transactions, so that there is something to count. */
const ADDRESSES = Array.from({ length: 20_000 }, () => hex(40))
const address = (): string => ADDRESSES[Math.floor((random() / 2 ** 32) ** 2 * ADDRESSES.length)] as string

/** What stands for number and hash of a block: as long as those that are put in its place. */
const AT = { number: quantity(FIRST), hash: `0x${'f'.repeat(64)}` }

interface Transaction {
  readonly hash: string
  readonly from: string
  readonly to: string
}

interface Log {
  readonly address: string
  readonly topics: readonly string[]
}

const logs: Log[] = []

function logOf({ to }: Transaction): Log {
  const log = { address: to, topics: [hex(64), hex(64), hex(64)] }
  logs.push(log)
  return log
}

const bloom = (some: readonly Log[]): string =>
  some.length === 0 ? emptyBloom : bloomOf(some.flatMap(({ address, topics }) => [address, ...topics]))

function receipt(transaction: Transaction, index: number): string {
  const { hash, from, to } = transaction
  const own = index % RECEIPTS_A_LOG === 0 ? [logOf(transaction)] : []
  const place = { blockNumber: AT.number, blockHash: AT.hash, transactionHash: hash, transactionIndex: quantity(index) }
  return JSON.stringify({
    ...place,
    contractAddress: null,
    cumulativeGasUsed: quantity(GAS * (index + 1)),
    effectiveGasPrice: quantity(1_000_000_000 + (random() % 1_000_000)),
    from,
    gasUsed: quantity(GAS),
    logs: own.map((log) => ({ ...log, data: hex(64), ...place, logIndex: quantity(index / RECEIPTS_A_LOG), removed: false })),
    logsBloom: bloom(own),
    status: '0x1',
    to,
    type: '0x2',
  })
}

function transaction({ hash, from, to }: Transaction, index: number): string {
  return JSON.stringify({
    blockHash: AT.hash,
    blockNumber: AT.number,
    from,
    gas: quantity(GAS * 2),
    gasPrice: '0x3b9aca00',
    maxFeePerGas: '0x77359400',
    maxPriorityFeePerGas: '0x1',
    hash,
    input: `0xa9059cbb${hex(128).slice(2)}`,
    nonce: quantity(random() % 1000),
    to,
    transactionIndex: quantity(index),
    value: '0x0',
    type: '0x2',
    accessList: [],
    chainId: '0x1',
    v: '0x1',
    r: hex(64),
    s: hex(64),
  })
}

/** A text with places for number and hash of a block. It is copied and filled in for each block. */
function template(text: string): (number: number) => Buffer {
  const bytes = Buffer.from(text, 'latin1')
  const placesOf = (what: string) => {
    const places: number[] = []
    for (let at = bytes.indexOf(`"${what}"`); at >= 0; at = bytes.indexOf(`"${what}"`, at + 1)) places.push(at + 1)
    return places
  }
  const [numbers, hashes] = [placesOf(AT.number), placesOf(AT.hash)]
  return (number) => {
    const filled = Buffer.from(bytes)
    for (const at of numbers) filled.write(quantity(number), at, 'latin1')
    for (const at of hashes) filled.write(hashOf(number), at, 'latin1')
    return filled
  }
}

function header(number: number, transactions: string, count: number): Buffer {
  const fields = {
    number: quantity(number),
    hash: hashOf(number),
    parentHash: hashOf(number - 1),
    timestamp: quantity(1_700_000_000 + (number - FIRST) * BLOCK_SECONDS),
    gasUsed: quantity(GAS * count),
    gasLimit: quantity(GAS * TRANSACTIONS * 2),
    baseFeePerGas: '0x3b9aca00',
    logsBloom: count > 0 ? BLOOM : emptyBloom,
    miner: hex(40),
    stateRoot: hex(64),
    transactionsRoot: hex(64),
    receiptsRoot: hex(64),
  }
  return Buffer.from(`${JSON.stringify(fields).slice(0, -1)},"transactions":[${transactions}]}`, 'latin1')
}

const all = Array.from({ length: TRANSACTIONS }, (): Transaction => ({ hash: hex(64), from: address(), to: address() }))
const hashes = all.map(({ hash }) => `"${hash}"`).join(',')
const receipts = template(`[${all.map(receipt).join(',')}]`)
/** Of all logs of a block: each has the same. */
const BLOOM = bloom(logs)
const transactions = template(all.map(transaction).join(','))
const numbers = Array.from({ length: COUNT }, (_, i) => FIRST + i)
const LISTED = new Map(numbers.map((number) => [number, header(number, hashes, TRANSACTIONS)]))
const FULL = new Map(numbers.map((number) => [number, header(number, transactions(number).toString('latin1'), TRANSACTIONS)]))
const RECEIPTS = new Map(numbers.map((number) => [number, receipts(number)]))

function result({ method, params }: Call): Buffer {
  const number = Number(params[0])
  switch (method) {
    case 'eth_chainId':
      return Buffer.from('"0x1"')
    case 'eth_blockNumber':
      return Buffer.from(`"${quantity(FIRST + COUNT + 1_000)}"`)
    case 'eth_getBlockByNumber':
      return (params[1] === true ? FULL : LISTED).get(number) ?? header(number, '', 0)
    default:
      return RECEIPTS.get(number) ?? Buffer.from('[]')
  }
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as Call | readonly Call[]
    const calls = Array.isArray(asked) ? (asked as readonly Call[]) : [asked as Call]
    const pieces = calls.flatMap((call, i) => [
      Buffer.from(`${i > 0 ? ',' : ''}{"jsonrpc":"2.0","id":${call.id},"result":`),
      result(call),
      Buffer.from('}'),
    ])
    if (Array.isArray(asked)) {
      pieces.unshift(Buffer.from('['))
      pieces.push(Buffer.from(']'))
    }
    setTimeout(
      () => {
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-length': pieces.reduce((sum, { length }) => sum + length, 0),
        })
        for (const piece of pieces) response.write(piece)
        response.end()
      },
      parseInt(request.url?.slice(1) ?? '', 10),
    )
  })
}

const server = createServer({ keepAliveTimeout: 60_000 }, serve)
server.listen(0, '127.0.0.1', () =>
  process.send?.({
    port: (server.address() as AddressInfo).port,
    listed: LISTED.get(FIRST)?.length,
    full: FULL.get(FIRST)?.length,
    receipts: RECEIPTS.get(FIRST)?.length,
  }),
)
process.on('disconnect', () => process.exit())
