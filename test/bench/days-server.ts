import { answering, type Call } from './answering.js'
import { BLOCK_SECONDS, FIRST_DAY, HEAD, LOG_ADDRESS, LOG_TOPIC } from './days-world.js'

/** A node whose blocks are `BLOCK_SECONDS` apart and have so many logs each, which is its argument. */

const logsOfBlock = Number(process.argv[2])
const hex = (value: number): string => `0x${value.toString(16)}`
const hash = (number: number): string => `0x${(number + 1).toString(16).padStart(64, '0')}`
const word = (value: number): string => `0x${value.toString(16).padStart(64, '0')}`

function result({ method, params: [first] }: Call): string {
  switch (method) {
    case 'eth_chainId':
      return '"0x1"'
    case 'eth_blockNumber':
      return `"${hex(HEAD)}"`
    case 'eth_getBlockByNumber': {
      const number = first === 'latest' ? HEAD : Number(first)
      const time = hex(FIRST_DAY + number * BLOCK_SECONDS)
      return `{"number":"${hex(number)}","hash":"${hash(number)}","parentHash":"${hash(number - 1)}","timestamp":"${time}","transactions":[]}`
    }
    case 'eth_getLogs': {
      const { fromBlock, toBlock } = first as { readonly fromBlock: string; readonly toBlock: string }
      const logs: string[] = []
      for (let number = Number(fromBlock); number <= Number(toBlock); number++)
        for (let index = 0; index < logsOfBlock; index++) logs.push(log(number, index))
      return `[${logs.join(',')}]`
    }
    default:
      throw new Error(`nobody knows ${method} here`)
  }
}

function log(number: number, index: number): string {
  const topics = `["${LOG_TOPIC}","${word(number)}","${word(index)}"]`
  const where = `"blockNumber":"${hex(number)}","blockHash":"${hash(number)}","logIndex":"${hex(index)}"`
  const by = `"transactionHash":"${hash(number * 1_000 + index)}","transactionIndex":"${hex(index)}"`
  return `{"address":"${LOG_ADDRESS}","topics":${topics},"data":"${word(number + index)}",${where},${by},"removed":false}`
}

answering(result)
