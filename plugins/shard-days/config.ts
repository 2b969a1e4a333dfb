import { computeSchema, rowSchema, type Static, Type } from '../../src/sdk/authors.js'

const order = Type.Optional(
  Type.Union([Type.Literal('newest-first'), Type.Literal('oldest-first')], {
    default: 'oldest-first',
    description: 'Which end is read first.',
  }),
)

const days = Type.Object(
  {
    days: Type.Union([
      Type.Object(
        {
          from: Type.String({ description: 'First day, UTC: `2024-03-01`.' }),
          to: Type.String({ description: 'Last day, included. A day is read once the chain is `confirmations` blocks beyond its end.' }),
        },
        { additionalProperties: false },
      ),
      Type.Object(
        { last: Type.Integer({ minimum: 1, maximum: 100_000, description: 'So many whole days before today.' }) },
        { additionalProperties: false },
      ),
    ]),
    order,
  },
  { additionalProperties: false },
)

const blocks = Type.Object(
  {
    blocks: Type.Object(
      {
        from: Type.Integer({ minimum: 0, description: 'First block.' }),
        to: Type.Integer({ minimum: 0, description: 'Last block, included.' }),
        chunk: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            default: 10_000,
            description: 'Blocks a unit. Larger: fewer checkpoint rows, more to do again after a failure.',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    order,
  },
  { additionalProperties: false },
)

const topicValue = Type.Union([Type.String(), Type.Integer(), Type.Boolean()])

const event = Type.Object(
  {
    event: Type.String({
      minLength: 1,
      description: 'ABI text as in Solidity: `Transfer(address indexed from, address indexed to, uint256 value)`.',
    }),
    contracts: Type.Optional(
      Type.Union([Type.Array(Type.String(), { minItems: 1 }), Type.String()], {
        description: 'Addresses of the contracts whose logs are read. Left out: those of all contracts.',
      }),
    ),
    topics: Type.Optional(
      Type.Record(Type.String(), Type.Union([topicValue, Type.Array(topicValue, { minItems: 1 })]), {
        description: 'Indexed input: a value that it must have, or one of several. Of a text, list or tuple: its hash.',
      }),
    ),
    into: Type.String({ description: 'Table.' }),
    each: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Name: path of a list (`args.ids`). One row an element; several lists are walked side by side, `index` counts.',
      }),
    ),
    row: rowSchema,
    compute: Type.Optional(computeSchema),
  },
  { additionalProperties: false },
)

export const config = Type.Object(
  {
    over: Type.Union([days, blocks], {
      tuning: true,
      description: 'What is read: `{ days: { from, to } }` or `{ days: { last } }`, or `{ blocks: { from, to } }`.',
    }),
    verify: Type.Optional(
      Type.Union(
        (['none', 'empty', 'bloom', 'receipts', 'proof'] as const).map((belief) => Type.Literal(belief)),
        {
          default: 'empty',
          description:
            'How much is needed to believe a node: its word (`none`); headers where it gives no log at all (`empty`); the bloom of every block (`bloom`); receipts of every block (`receipts`); receipts whose root and block hash are computed (`proof`).',
        },
      ),
    ),
    events: Type.Array(event, {
      minItems: 1,
      description: 'Which logs are read, and the rows they become. Paths of `row`: `day`, `log.…`, `args.…`, `block.…`.',
    }),
    misfits: Type.Optional(
      Type.Object(
        {
          into: Type.String({ description: 'Table.' }),
          row: rowSchema,
          compute: Type.Optional(computeSchema),
        },
        {
          additionalProperties: false,
          description:
            'Where logs go that have the contract and the first topic of an event and do not fit it. Paths of `row`: `day`, `log.…`, `block.…`, `event` (its ABI text), `reason`. Left out: they are counted, with an example in the evidence of the unit.',
        },
      ),
    ),
  },
  { additionalProperties: false },
)

export type Config = Static<typeof config>
export type EventConfig = Config['events'][number]
export type DaysOver = Static<typeof days>

export function isDays(over: Config['over']): over is DaysOver {
  return 'days' in over
}
