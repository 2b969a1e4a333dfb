import {
  computeSchema,
  rowSchema,
  rowsSchema,
  type Static,
  timeRangeSchema,
  type TimeUnit,
  timeUnitSchema as unit,
  Type,
} from '../../src/sdk/authors.js'

const cover = Type.Object(
  {
    last: Type.Optional(
      Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.String()], {
        tuning: true,
        description: 'How far back from now, frozen when the run begins: days (`180`), or a duration (`12h`).',
      }),
    ),
    from: Type.Optional(
      Type.Union([Type.String(), Type.Number()], {
        tuning: true,
        description: 'First instant, instead of `last`: a day or a time, in UTC.',
      }),
    ),
    to: Type.Optional(Type.Union([Type.String(), Type.Number()], { tuning: true, description: 'Last instant. Default: now.' })),
    time: Type.String({
      minLength: 1,
      description: 'Path of a record to its time: `block.time`, `item.0`. It must be mapped to a timestamp column.',
    }),
    unit: Type.Optional(
      Type.Unsafe<TimeUnit>({
        ...unit,
        default: 's',
        description:
          'What that time is in: `s`, `ms`, `us`, `ns` since 1970, or `iso` text; digits below a microsecond are cut off. Of every other timestamp column, too. A `unit` in `row` comes first.',
      }),
    ),
    range: Type.Optional(timeRangeSchema),
  },
  {
    additionalProperties: false,
    description: 'What is to be covered. Left out, the list is read once, to its end.',
  },
)

const texts = Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })])
const said = Type.Union([Type.String(), Type.Number(), Type.Boolean()])

const error = Type.Object(
  {
    path: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Path of a reply to what tells of an error: anything but null, false, 0, an empty text, list or object, and `ok`. Default: `error` and `errors`, and `success: false`.',
      }),
    ),
    ok: Type.Optional(
      Type.Unsafe<Static<typeof said> | Static<typeof said>[]>({
        ...Type.Union([...said.anyOf, Type.Array(said, { minItems: 1 })]),
        description: 'What stands at `path` when all went well: `"1"`, `OK`.',
      }),
    ),
    retry: Type.Optional(
      Type.Unsafe<boolean | string | string[]>({
        ...Type.Union([Type.Boolean(), ...texts.anyOf]),
        default: true,
        description: 'Which errors are asked for again, like a 503: all, none (`false`), or those with one of these texts in them.',
      }),
    ),
    rate_limit: Type.Optional(
      Type.Unsafe<string | string[]>({
        ...texts,
        description: 'Texts in an error that mean "too many requests", beside those that are known: the source is asked more slowly.',
      }),
    ),
    empty: Type.Optional(
      Type.Unsafe<string | string[]>({
        ...texts,
        description:
          'Texts of a reply that mean an empty list, which needs none then. "No transactions found" beside an empty list is known.',
      }),
    ),
  },
  {
    additionalProperties: false,
    tuning: true,
    description:
      'How a reply of status 200 tells of an error. It is judged by its words like one of status 429, 401 or 503, and asked for again (`retry` of the source) before the step fails.',
  },
)

const endValue = Type.Union([Type.Integer({ minimum: 200, maximum: 499 }), Type.Null(), Type.Literal('empty'), Type.Literal('same')])
const end = Type.Unsafe<Static<typeof endValue> | readonly Static<typeof endValue>[]>({
  anyOf: [endValue, Type.Array(endValue, { minItems: 1 })],
  tuning: true,
  description:
    'What means the end of the list, one of these or several: a status (`404`, `204`), `null` where the records are, `empty` (a page without records) or `same` (the page before again). It is then believed the first time; other ends when two reads agree, with `retry.wait` of the source between them. No end is believed above rows that are known. Pages with rows of the last day are asked for twice, and the answer that has newer rows counts: a replica that is behind lacks some. Two that contradict each other fail.',
})

const cursor = Type.Object(
  {
    next: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Path of a reply to the cursor of the next page, null on the last one. Without `$cursor` in `request` it is an address, of the same origin.',
      }),
    ),
    optional: Type.Optional(
      Type.Boolean({ description: 'With `next`: the API leaves the field out on the last page. Otherwise that is an error.' }),
    ),
    more: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Path of a reply to whether there are more pages: `has_more`. False ends the list, whatever else the reply says; true says that a reply without a next page is no end.',
      }),
    ),
    end: Type.Optional(end),
    link: Type.Optional(Type.String({ minLength: 1, description: 'The next page is in the `Link` header under this name: `next`.' })),
    time: Type.Optional(
      Type.Unsafe<TimeUnit>({
        ...unit,
        description:
          '`$cursor` is a time in this unit, which bounds the list from above, inclusive or not. Also the unit of `$start` and `$end`.',
      }),
    ),
    ties: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'With `time`: how an instant with more rows than a page is read on: `offset` by `$offset`, or a field whose last value is `$tie`.',
      }),
    ),
    offset: Type.Optional(Type.Literal(true, { description: '`$offset` counts rows from the newest.' })),
    page: Type.Optional(Type.Literal(true, { description: '`$page` counts pages from `first`.' })),
    first: Type.Optional(Type.Integer({ minimum: 0, default: 1, description: 'With `page`: number of the first page.' })),
    key: Type.Optional(Type.String({ minLength: 1, description: '`$cursor` is the last value of this field, which no two rows share.' })),
    window: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'A duration: the time is cut into windows of it, each asked for by `$start` and `$end` and read side by side. Alone, one request a window.',
      }),
    ),
  },
  {
    additionalProperties: false,
    tuning: true,
    description: 'How the list is read on: one of `next`, `link`, `time`, `offset`, `page`, `key`, and, or alone, `window`.',
  },
)

export const config = Type.Object(
  {
    request: Type.Object(
      {
        path: Type.String({ minLength: 1, references: 'url', description: 'Below the URL of the source. `$name` in it is URL-encoded.' }),
        query: Type.Optional(
          Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
            description:
              'Its query. `$cursor`, `$offset`, `$page`, `$tie`, `$start`, `$end` and `$size` are those of the page; one that has no value yet is left out.',
          }),
        ),
      },
      { additionalProperties: false, description: 'The GET request for a page.' },
    ),
    records: Type.String({ description: 'Path of the reply to the list of records; `.` when the reply is the list.' }),
    cover: Type.Optional(cover),
    cursor,
    error: Type.Optional(error),
    end: Type.Optional(end),
    row: Type.Optional(rowSchema),
    compute: Type.Optional(computeSchema),
    rows: Type.Optional(rowsSchema),
    overlap: Type.Optional(
      Type.String({
        tuning: true,
        default: '60s',
        description:
          'How late a row may turn up, and how far it may stand out of order. What is newer than the newest row less this is read again in the next run.',
      }),
    ),
    page_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        tuning: true,
        description:
          '`$size`: rows a page. A page of as many rows may have been cut. With `window` alone, such a one is halved until it is not.',
      }),
    ),
    max_pages: Type.Optional(
      Type.Integer({
        minimum: 1,
        tuning: true,
        description:
          'Pages that a run may read, not counting what is asked for to believe one. Reached, the run ends incomplete, and the next one goes on.',
      }),
    ),
    expect_total: Type.Optional(
      Type.String({
        minLength: 1,
        tuning: true,
        description: 'Path of the reply, or `header.NAME`, to the number of all rows. Without `cover`; a list that gave fewer is not done.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** Where the reading of a list is: the request to make next, and how far down the time above it is covered. */
export const cursorSchema = Type.Object(
  {
    /** Kind of cursor: a stored one of another kind is of no use. */
    kind: Type.String(),
    place: Type.Record(Type.String(), Type.Unknown()),
    /** Everything from here up to `top` is covered. Without it nothing is yet, and what comes before `place` was read. */
    down: Type.Optional(Type.String()),
    /** Lowest time of what comes before `place`. Rows of it and above are in the table. */
    low: Type.Optional(Type.String()),
    top: Type.Optional(Type.String()),
    /** Key of the first row of the list, and how many rows were read of it. */
    first: Type.Optional(Type.String()),
    read: Type.Optional(Type.Integer()),
  },
  { additionalProperties: false },
)

export type Config = Static<typeof config>
export type StoredCursor = Static<typeof cursorSchema>
export type { TimeUnit }
/** What means the end of a list. */
export type End = Static<typeof endValue>
