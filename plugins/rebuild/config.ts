import { checksSchema, type Static, Type } from '../../src/sdk/authors.js'

const sql = Type.Union([Type.String({ minLength: 1 }), Type.Record(Type.String(), Type.String({ minLength: 1 }), { minProperties: 1 })], {
  references: 'sql',
  description:
    'One SELECT whose columns go by their names into those of the table. It may read what parts before it built, as `<table>__next`, and every table of the pipeline; those are its inputs: a commit to one of them has all parts built again. A map by warehouse with `default` where one text does not do for all.',
})

const id = Type.String({ minLength: 1, description: 'Name of the part, for people and the snapshot.' })

export const config = Type.Object(
  {
    parts: Type.Array(
      Type.Union([
        Type.Object(
          {
            id,
            into: Type.String({ description: 'The table that is renewed as a whole. The part fills `<table>__next` beside it.' }),
            sql,
            timeout: Type.Optional(
              Type.String({
                default: '3h',
                tuning: true,
                description: 'Longest time that the query may take: `30m`. Then it is stopped, and all parts are tried again.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        Type.Object({ id, checks: checksSchema }, { additionalProperties: false }),
      ]),
      {
        minItems: 1,
        description:
          'Done in their order. One with `sql` builds a table; one with `checks` is a gate: when a check of severity `error` does not pass, nothing is swapped and the tables stay as they are.',
      },
    ),
    keep: Type.Optional(
      Type.Integer({
        minimum: 0,
        default: 2,
        tuning: true,
        description: 'Versions of before that are kept, for `pipe rollback`. More: each takes the room of its tables.',
      }),
    ),
    snapshot: Type.Optional(
      Type.String({
        minLength: 1,
        tuning: true,
        references: 'kept',
        description:
          'File that says what was published, as JSON: rows, coverage, results of checks, versions, duration. `$now` in it is when the build began, which no other one has. It is written after the swap; where a kill comes between, the next run writes it.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** What is left to do once the tables were swapped: the snapshot. */
export const cursor = Type.Object({ path: Type.Optional(Type.String()), snapshot: Type.Optional(Type.Unknown()) })

export type Config = Static<typeof config>
export type Part = Config['parts'][number]
export type TablePart = Extract<Part, { into: string }>

export const isTable = (part: Part): part is TablePart => 'into' in part
