import { type Static, Type } from '../../src/sdk/authors.js'

const pattern = (description: string) => Type.String({ minLength: 1, description })
const path = (description: string) => Type.String({ minLength: 1, description })
const codes = (ok: readonly number[], description: string) =>
  Type.Optional(Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { default: [...ok], tuning: true, description }))

export const config = Type.Object(
  {
    command: Type.String({
      minLength: 1,
      description:
        'The program: a name that is looked for in PATH, or a path from `cwd`. It is started as it is, without a shell. What it writes is no part of the ledger: put a gate behind it.',
    }),
    args: Type.Optional(
      Type.Array(Type.Union([Type.String(), Type.Number()]), {
        references: 'kept',
        secret: true,
        description:
          'Its arguments, each as it is. A `$name` in one is a param, and `$$` a `$`; `$limit`, a param that the file declares, is `--limit` where that is given. What `${NAME}` puts here is shown nowhere, but `ps` shows it while the program runs. The first that is a script (`.ts`, `.js`, `.py`, `.sh` …) must exist.',
      }),
    ),
    cwd: Type.Optional(
      Type.String({ minLength: 1, description: 'The folder that it runs in, from the working folder, which it is when left out.' }),
    ),
    env: Type.Optional(
      Type.Record(Type.String({ pattern: '^[^=]+$' }), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
        tuning: true,
        secret: true,
        description: 'Added to the environment of pipe, which it has, too. What `${NAME}` puts here is shown nowhere.',
      }),
    ),
    progress: Type.Optional(
      Type.Union(
        [
          pattern('A regular expression with the groups `done` and, where it says so, `total`: `(?<done>\\d+)/(?<total>\\d+)`.'),
          Type.Object(
            { done: path('Where a JSON line says it: `progress.done`.'), total: Type.Optional(path('The same.')) },
            { additionalProperties: false },
          ),
        ],
        { tuning: true, description: 'How far it is, by a line of its output. One that begins anew is its next part, and is added.' },
      ),
    ),
    result: Type.Optional(
      Type.Union(
        [
          Type.Array(pattern('A regular expression; each named group is a result.'), { minItems: 1 }),
          Type.Record(Type.String(), path('Where a JSON line says it.'), { minProperties: 1 }),
        ],
        {
          tuning: true,
          description:
            'What it found, by name, by regular expressions (`enriched (?<enriched>\\d+)`) or by paths in JSON lines. The last line that says it counts. Numbers stand in the report; all of it is kept with the unit.',
        },
      ),
    ),
    exit: Type.Optional(
      Type.Object(
        {
          ok: codes([0], 'Exit codes that mean done. Every other one is a failure.'),
          retry: codes([], 'Those of them that may pass: it is started again, as `retry` of the step says.'),
        },
        { additionalProperties: false, tuning: true, description: 'What its exit codes mean.' },
      ),
    ),
    reads: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        description:
          'Tables of this file that it reads. With it, the program runs when a commit touched one of them or its definition changed, else in every round of a run.',
      }),
    ),
    grace: Type.Optional(
      Type.String({
        default: '5s',
        tuning: true,
        description: 'When it is stopped, or its `timeout` is over, it is asked to end (SIGTERM) and has so long before it is killed.',
      }),
    ),
  },
  { additionalProperties: false },
)

export type Config = Static<typeof config>
