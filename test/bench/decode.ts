import { decodeEventLog, encodeAbiParameters, parseAbiItem } from 'viem'
import { event } from '../../src/sdk/authors.js'
import type { Figure, GoalOptions } from './goals.js'
import { pairs } from './measure.js'

const CASES: readonly (readonly [text: string, types: readonly string[], values: readonly unknown[]])[] = [
  ['Transfer(address indexed from, address indexed to, uint256 value)', ['uint256'], [25_000_000n]],
  [
    'TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value)',
    ['uint256', 'uint256'],
    [2n ** 255n - 19n, 12_345_678n],
  ],
  [
    'TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values)',
    ['uint256[]', 'uint256[]'],
    [
      [2n ** 255n - 19n, 2n ** 250n],
      [1n, 2n],
    ],
  ],
]
const LOGS = 20_000
const WANTED = 10

/** Compiled decoders beside viem's strict decodeEventLog, which gets the parsed ABI. */
export async function* decoding({ rounds }: GoalOptions): AsyncIterable<Figure> {
  for (const [text, types, values] of CASES) {
    const decoder = event(text)
    const abi = [parseAbiItem(`event ${text}`)]
    const data = encodeAbiParameters(types.map((type) => ({ type })) as never, values as never) as string
    const logs = Array.from({ length: LOGS }, (_, i) => ({
      topics: [
        decoder.topic0 ?? '',
        ...decoder.inputs
          .filter(({ indexed }) => indexed)
          .map((_, j) => `0x${(BigInt(i) << 130n) + BigInt(j)}`.padEnd(66, '7').slice(0, 66)),
      ],
      data,
    }))
    const both = await pairs(
      rounds,
      { work: () => Promise.resolve(logs.forEach((log) => keep(decoder.decode(log.topics, log.data).args))) },
      { work: () => Promise.resolve(logs.forEach((log) => keep(decodeEventLog({ abi, ...log } as never)))) },
    )
    const each = (ms: number) => `${((ms * 1e6) / LOGS).toFixed(0)} ns a log`
    yield {
      goal: 'G13',
      what: `decoding ${decoder.name}, beside viem`,
      ours: each(both.ours.ms),
      theirs: each(both.theirs.ms),
      ratio: both.speed,
      wanted: `>= ${WANTED}`,
      met: both.speed >= WANTED,
    }
  }
}

/** What is not used might not be made. */
function keep(value: unknown): void {
  if (value === undefined) throw new Error('a log does not fit its event')
}
