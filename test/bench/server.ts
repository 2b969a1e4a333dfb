import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A JSON-RPC server that costs as little as possible, so that what is measured is the client. Its path is its latency in
 * milliseconds: `http://127.0.0.1:PORT/20`. It knows eth_chainId (1), eth_blockNumber, eth_getBalance and
 * eth_getBlockByNumber without transactions, and reads no more of a body than ids and block numbers.
 */

const HEAD = '0x3b9aca00'
const HASH = '0'.repeat(64)
const GENESIS_SECONDS = 1_438_269_973
const BLOCK_SECONDS = 12
/** Of a trie that holds nothing. */
const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'
/** What the headers of blocks without transactions have in common. */
const HEADER = [
  `"logsBloom":"0x${'0'.repeat(512)}"`,
  `"miner":"0x${'a'.repeat(40)}"`,
  `"stateRoot":"0x${'b'.repeat(64)}"`,
  `"transactionsRoot":"${EMPTY_ROOT}"`,
  `"receiptsRoot":"${EMPTY_ROOT}"`,
  `"sha3Uncles":"0x${'e'.repeat(64)}"`,
  '"gasLimit":"0x1c9c380"',
  '"gasUsed":"0x0"',
  '"baseFeePerGas":"0x5d21dba00"',
  '"difficulty":"0x0"',
  '"extraData":"0x6265617665726275696c642e6f7267"',
  '"size":"0x220"',
  '"nonce":"0x0000000000000000"',
  '"uncles":[]',
  '"transactions":[]',
].join(',')

const hash = (number: number): string => {
  const digits = number.toString(16)
  return `"0x${HASH.slice(digits.length)}${digits}"`
}

function block(number: number): string {
  const timestamp = (GENESIS_SECONDS + BLOCK_SECONDS * number).toString(16)
  return `{"number":"0x${number.toString(16)}","hash":${hash(number + 1)},"parentHash":${hash(number)},"timestamp":"0x${timestamp}",${HEADER}}`
}

/** The answer to one call. The four methods differ in their ninth letter. */
function answer(body: string, id: number, at: number): string {
  const head = `{"jsonrpc":"2.0","id":${id},"result":`
  const method = body.indexOf('"method":"', at) + 10
  switch (body.charCodeAt(method + 8)) {
    case 0x61: // eth_getBalance
      return `${head}"0x1bc16d674ec8${(id & 0xffff).toString(16).padStart(4, '0')}"}`
    case 0x6c: // eth_getBlockByNumber
      return `${head}${block(parseInt(body.slice(body.indexOf('"0x', method) + 3, body.indexOf('"0x', method) + 16), 16))}}`
    case 0x6e: // eth_chainId
      return `${head}"0x1"}`
    default:
      return `${head}"${HEAD}"}`
  }
}

/** Answers a request, single or batch, in the order of its calls. */
function answerAll(body: string): string {
  const many = body.startsWith('[')
  let text = ''
  for (let at = body.indexOf('"id":'); at >= 0; at = body.indexOf('"id":', at + 5)) {
    text += (text === '' ? '' : ',') + answer(body, parseInt(body.slice(at + 5, at + 21), 10), at)
  }
  return many ? `[${text}]` : text
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.from(answerAll((chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('latin1')), 'latin1')
    const send = () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      response.end(body)
    }
    const latency = Number(request.url?.slice(1) ?? 0)
    if (latency > 0) setTimeout(send, latency)
    else send()
  })
}

const server = createServer({ keepAliveTimeout: 60_000 }, serve)
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
