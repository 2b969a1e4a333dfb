import { keccak256 } from 'viem'

/** One call that a contract answers. */
export interface Answered {
  readonly data: `0x${string}`
  /** Who alone may ask; undefined: anybody. */
  readonly from: string | undefined
  /** What it returns, `0x` data. */
  readonly result: string
}

/** Code of a contract that returns the given answers, each to its own call data by its hash, and refuses every other call. */
export function codeOf(calls: readonly Answered[]): string {
  // CALLDATACOPY of all of it to 0, then its KECCAK256.
  const start = '365f5f37365f20'
  // DUP1 PUSH32 hash EQ PUSH2 place JUMPI
  const tests = calls.length * 39
  const refuse = '5f5ffd'
  let code = start.length / 2 + tests + refuse.length / 2
  const blocks = calls.map(({ from }) => {
    const at = code
    code += from === undefined ? 14 : 45
    return at
  })
  let answers = code
  const parts = calls.map(({ data, from, result }, i) => {
    const [at, size] = [answers, result.length / 2 - 1]
    answers += size
    const block = blocks[i] ?? 0
    // CALLER PUSH20 from EQ PUSH2 beyond JUMPI, PUSH0 PUSH0 REVERT, JUMPDEST
    const check = from === undefined ? '' : `3373${from.slice(2)}1461${hex(block + 31)}575f5ffd5b`
    return {
      test: `807f${keccak256(data).slice(2)}1461${hex(block)}57`,
      // JUMPDEST, then CODECOPY of the answer to 0 and RETURN
      block: `5b${check}61${hex(size)}61${hex(at)}5f3961${hex(size)}5ff3`,
      answer: result.slice(2),
    }
  })
  const all = (part: 'test' | 'block' | 'answer') => parts.map((each) => each[part]).join('')
  return `0x${start}${all('test')}${refuse}${all('block')}${all('answer')}`
}

const hex = (value: number) => value.toString(16).padStart(4, '0')
