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

const call = Type.Union([
  Type.Object(
    {
      method: Type.String({ minLength: 1, description: 'JSON-RPC method.' }),
      params: Type.Optional(
        Type.Array(Type.Unknown(), { description: 'Its parameters. Integers become quantities (`0x63`), `$name` a value.' }),
      ),
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
