import { computeSchema, rowSchema, rowsSchema, type Static, Type } from '../../src/sdk/authors.js'

const order = Type.Optional(
  Type.Union([Type.Literal('newest-first'), Type.Literal('oldest-first')], {
    default: 'oldest-first',
    description: 'Which end is read first.',
  }),
)

const blocks = Type.Object(
  {
    blocks: Type.Object(
      {
        from: Type.Integer({ minimum: 0, description: 'First block.' }),
        to: Type.Integer({ minimum: 0, description: 'Last block, included.' }),
      },
      { additionalProperties: false, description: 'Every block of a range.' },
    ),
    order,
    may_skip: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Heights may have no block (null rounds). The node says `null` or that there is none, and the `parentHash` of the next block proves it: it is the hash of the last one before the gap. It needs a call of eth_getBlockByNumber for `$number`.',
      }),
    ),
    chunk: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        default: 1000,
        description: 'Blocks a unit. Larger: fewer checkpoint rows, more to do again after a failure.',
      }),
    ),
  },
  { additionalProperties: false },
)

const query = Type.Object(
  {
    sql: Type.Union([Type.String(), Type.Record(Type.String(), Type.String())], {
      references: 'sql',
      description: 'Which rows should exist. Those whose key and copied columns the table has are skipped. A map gives a text a warehouse.',
    }),
    key: Type.Array(Type.String(), { minItems: 1, description: 'Columns of the query that name a row.' }),
    order,
    chunk: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        default: 10_000,
        description: 'Rows a unit (for an integer key: how many numbers it spans).',
      }),
    ),
  },
  { additionalProperties: false },
)

const onNothing = (description: string) =>
  Type.Optional(Type.Union([Type.Literal('error'), Type.Literal('skip'), Type.Null()], { default: 'error', description }))

const onNull = onNothing(
  'What to do when the answer is `null`, and all endpoints say so. `null`: that is the answer, and its columns are null. `skip`: the block gives no row. `error`: it is asked elsewhere, and fails when all endpoints say so. Receipts and logs of a block that is read beside them and has no transactions are an empty list in any case.',
)
const onRevert = onNothing(
  'What to do when the contract reverts, or answers nothing (`0x`) at all endpoints. `null`: that is the answer, and its columns are null. `skip`: the block gives no row. `error`: the call fails.',
)

const call = Type.Union([
  Type.Object(
    {
      method: Type.String({ minLength: 1, description: 'JSON-RPC method.' }),
      params: Type.Optional(
        Type.Array(Type.Unknown(), {
          description:
            'Its parameters. `$name` is a value. Integers become quantities (`0x63`), but JSON numbers where the method takes those (percentiles of eth_feeHistory, options of debug_trace…); `{ number: 12.5 }` is a JSON number everywhere.',
        }),
      ),
      on_null: onNull,
      on_revert: onRevert,
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      to: Type.String({ description: 'Contract that is asked by eth_call.' }),
      function: Type.String({ description: 'What is called, as ABI text: `balanceOf(address) returns (uint256)`.' }),
      args: Type.Optional(Type.Array(Type.Unknown(), { description: 'Its arguments. `$name` is a value.' })),
      from: Type.Optional(Type.String({ description: 'The address that seems to ask.' })),
      block: Type.Optional(Type.Unknown({ description: 'At which block; left out: the block of the unit, else the head.' })),
      on_null: onNull,
      on_revert: onRevert,
    },
    { additionalProperties: false },
  ),
])

export const config = Type.Object(
  {
    over: Type.Union([blocks, query], { tuning: true, description: 'What is asked for: `{ blocks: { from, to } }` or `{ sql, key }`.' }),
    calls: Type.Record(Type.String(), call, {
      minProperties: 1,
      description: 'Calls for each block or row, by name. A later one may use an earlier one as `$name`.',
    }),
    verify: Type.Optional(
      Type.Union([Type.Literal('none'), Type.Literal('proof')], {
        default: 'none',
        description:
          "How much is needed to believe a node: that its answers of one block agree with each other (`none`), or that they follow from the block's hash (`proof`): its header, its receipts by their root and, asked for whole (`[$number, true]`), its transactions by theirs. It takes calls of eth_getBlockByNumber for `$number` and eth_getBlockReceipts, and no others.",
      }),
    ),
    unproved: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        description:
          "With `verify: proof`: fields, as `row` names them, that are stored as the node's word where no hash of the block proves them: what a chain adds (`receipt.l1Fee`), or what only some transactions have signed (`tx.maxFeePerGas`).",
      }),
    ),
    row: Type.Optional(rowSchema),
    compute: Type.Optional(computeSchema),
    rows: Type.Optional(rowsSchema),
    batch: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        tuning: true,
        description: 'Most calls a request. Left out, the size is found for each endpoint.',
      }),
    ),
  },
  { additionalProperties: false },
)

export type Config = Static<typeof config>
export type CallConfig = Config['calls'][string]

export function isBlocks(over: Config['over']): over is Extract<Config['over'], { blocks: unknown }> {
  return 'blocks' in over
}

/** The call that reads the block of each height: of an `over.blocks` that has one. */
export function headerCall({ over, calls }: Config): string | undefined {
  const asksForIt = ([, call]: [string, CallConfig]) =>
    'method' in call && call.method === 'eth_getBlockByNumber' && call.params?.[0] === '$number'
  return isBlocks(over) ? Object.entries(calls).find(asksForIt)?.[0] : undefined
}
