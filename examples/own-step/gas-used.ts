import { defineStep, numberAxis, type Row, Type } from 'pipe/sdk'

/** A step type of one's own: the gas used in each block of a range. This is all it takes. */
export const gasUsed = defineStep({
  type: 'gas-used',
  summary: 'Stores the gas used in every block of a range.',
  config: Type.Object({
    from: Type.Integer({ minimum: 0, description: 'First block.', tuning: true }),
    to: Type.Integer({ minimum: 0, description: 'Last block, included.', tuning: true }),
  }),
  requires: ['chain', 'into'],
  example: 'see examples/own-step/gas-used.yaml',

  // What should exist. The core subtracts what is done and cuts units.
  *plan({ config }) {
    yield {
      kind: 'stretches',
      axis: numberAxis(100),
      domain: [BigInt(config.from), BigInt(config.to)],
      due: 'uncovered',
      order: 'oldest-first',
      price: { perPiece: 1 },
    }
  },

  // How one unit is read. Rows and checkpoint are committed together; `covers` says what is complete.
  async *run({ unit, into, rpc, signal }) {
    if (unit.piece.kind !== 'stretch' || !into) return
    const { from, to } = unit.piece
    const numbers = Array.from({ length: Number(to - from) + 1 }, (_, i) => from + BigInt(i))
    const calls = numbers.map((number) => ({ method: 'eth_getBlockByNumber', params: [`0x${number.toString(16)}`, false] }))
    const { values } = await rpc.batch(calls, { signal, block: to })
    const rows = values.map((block): Row => ({
      number: (block as { number: string }).number,
      gas_used: (block as { gasUsed: string }).gasUsed,
    }))
    yield { rows: { [into.name]: rows }, covers: [[from, to]] }
  },
})
