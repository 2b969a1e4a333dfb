import { type Static, Type } from '../../src/sdk/authors.js'

export const config = Type.Object(
  {
    sql: Type.Union([Type.String({ minLength: 1 }), Type.Record(Type.String(), Type.String({ minLength: 1 }), { minProperties: 1 })], {
      references: 'sql',
      description:
        'One SELECT. Its columns go by their names into those of the table; one that may be null may be left out. `$name` is a bound value: a param, `$now`, `$chain.name`, and `$start` and `$end` of an interval. A map by warehouse with `default` where one text does not do for all. The declared tables that it names after FROM and JOIN, but for the one that it fills, are its inputs: it is computed again when one of them changed. What a view reads is not seen.',
    }),
    interval: Type.Optional(
      Type.Object(
        {
          by: Type.String({
            description:
              'Length of one unit of work, counted from 1970 UTC: `1d`, `1h`. Longer: fewer statements that each read more. A change computes the whole unit again.',
          }),
          of: Type.Record(Type.String(), Type.String(), {
            minProperties: 1,
            description:
              'The time column of each input: `{ transactions: block_time }`. A change of a row computes the interval again that its time falls into. A row without a time counts in none. A declared table that the SQL names and that is not here has no time: a change in it computes every interval again.',
          }),
          lookback: Type.Optional(
            Type.String({
              description:
                'How much of the time before `$start` the SQL reads, too: `7d`. A change computes again each interval that looks at it.',
            }),
          ),
        },
        {
          additionalProperties: false,
          description:
            'Computes one stretch of time at a time, `$start <= time < $end`. Left out, the table is computed as a whole. The key must tell intervals apart: two that give one key are an error, unless the table says `on_conflict: last` or the step `mode: upsert`; then the row of the one computed last stays.',
        },
      ),
    ),
    mode: Type.Optional(
      Type.Union([Type.Literal('replace'), Type.Literal('upsert'), Type.Literal('rows')], {
        default: 'replace',
        description:
          '`replace` deletes what the SELECT no longer gives: in the interval, or in the whole table. `upsert` deletes nothing. `rows` does not either, and writes only those rows that the table lacks or has otherwise: in every run they are counted, also where nobody says that an input changed, and written some at a time, with progress by rows. The SELECT must give the same each time: order what it adds up in floats, `sum(usd ORDER BY id)`.',
      }),
    ),
    constants: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description:
          'What is this step’s own in a table that others fill, too: `{ origin_key: $chain.name }`. Put into every row, and `replace` keeps to such rows. The SELECT may give the column, then with this value only. Where the SQL says `origin_key = $chain.name` of each table that has the column, rows of others do not have it computed again.',
      }),
    ),
    timeout: Type.Optional(
      Type.String({
        default: '1h',
        tuning: true,
        description: 'Longest time that one statement may take: `10m`. Then it is stopped, and tried again.',
      }),
    ),
  },
  { additionalProperties: false },
)

export type Config = Static<typeof config>
