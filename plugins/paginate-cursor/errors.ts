import { counted, PipeError, showRange, type TimeRange, type TimeUnit } from '../../src/sdk/authors.js'

/** A page is not what the step expects of it. Names the place in the reply as a JSON pointer. `cause`: what is wrong with a value. */
export class PageShapeError extends PipeError {
  readonly code = 'PAGE_SHAPE'
  override readonly hint = 'the API may have changed: compare `records`, `row` and `cursor` with what it answers now'
  constructor(pointer: string, problem: string, cause?: unknown) {
    super(`${pointer === '' ? 'the reply' : pointer} ${problem}`, { cause })
  }
}

/** A reply of status 200 says that something went wrong. */
export class PageErrorError extends PipeError {
  readonly code = 'PAGE_ERROR'
  override readonly blame = 'outage'
  override readonly hint = 'the source reports this itself; run again, and look at `request` when it stays'
  constructor(
    readonly text: string,
    /** HTTP status that stands in the reply. */
    readonly status?: number,
  ) {
    super(`the source answered with an error: ${text}`)
  }
}

/** A time is not what `unit` says, or lies outside of `range`: of the years 2009 to 2100, where none is declared. */
export class PageTimeError extends PipeError {
  readonly code = 'PAGE_TIME'
  override readonly hint: string
  constructor(
    pointer: string,
    value: string,
    {
      unit,
      range,
      other,
      write,
    }: {
      readonly unit: TimeUnit
      readonly range: TimeRange
      readonly other: TimeUnit | undefined
      readonly write: (part: string) => string
    },
  ) {
    super(`${pointer} is ${value}, which is no time from ${showRange(range)} in ${unit}`)
    this.hint =
      other === undefined
        ? `compare it with what the API answers; if it is right, say which times may come: ${write('range: { from: 1970-01-01, to: 2200-01-01 }')}`
        : `it would be one in ${other}: ${write(`unit: ${other}`)}`
  }
}

/** A cursor leads back to where the reading was. */
export class CursorStuckError extends PipeError {
  readonly code = 'CURSOR_STUCK'
  override readonly hint = 'the API leads in circles here; what was read is kept, and the next run tries again from there'
  constructor(cursor: string) {
    super(`the cursor ${cursor} came again, so the list does not go on`)
  }
}

/** Many pages without a new row, though the API says that there is more. */
export class PagesEmptyError extends PipeError {
  readonly code = 'PAGES_EMPTY'
  override readonly blame = 'outage'
  override readonly hint = 'run again later: it goes on from here'
  constructor(pages: number) {
    super(`${pages} pages one after the other brought no new row, and the API says that there are more`)
  }
}

/** More rows share one instant than a page holds, and nothing tells how to read on among them. */
export class SecondTooFullError extends PipeError {
  readonly code = 'SECOND_TOO_FULL'
  override readonly hint: string
  /** `ignored`: the parameter that should lead on among them and changes nothing. */
  constructor(instant: string, what: 'time' | 'window', ignored?: string) {
    super(
      `not all rows of ${instant} can be read: more of them share it than a page holds${ignored === undefined ? '' : `, and the source does not heed ${ignored}`}`,
    )
    this.hint =
      ignored !== undefined
        ? 'compare the name and the values of that parameter with the documentation of the API, or ask for larger pages'
        : what === 'time'
          ? 'ask for larger pages and say so (`page_size`), or say how to read on inside one instant: cursor: { time: …, ties: offset }'
          : 'ask for larger pages, or page through each window: cursor: { window: …, offset: true }'
  }
}

/** All rows that came share one instant, and no page had more, so it may have been cut among them. */
export class SecondUnsureError extends PipeError {
  readonly code = 'SECOND_UNSURE'
  override readonly hint: string
  constructor(instant: string, rows: number, what: 'time' | 'window') {
    super(`nothing shows whether all rows of ${instant} were read: ${rows} came, and no page had more`)
    const inside =
      what === 'time'
        ? 'say how to read on inside one instant: cursor: { time: …, ties: offset }'
        : 'page through each window: cursor: { window: …, offset: true }'
    this.hint = `if pages of the API can have more than ${rows} rows, say how many, beside the limit that is asked for: page_size: ROWS; or ${inside}`
  }
}

/** The list moves faster than it can be read, so nothing proves that no row was missed. */
export class ListShiftsError extends PipeError {
  readonly code = 'LIST_SHIFTS'
  override readonly blame = 'outage'
  override readonly hint = 'ask for larger pages, or use a cursor that the API gives out; what was read is kept'
  constructor(place: string) {
    super(`the list shifts while it is read: at ${place} no row of the page before was met again`)
  }
}

/** Rows are not in the order that the step reads them in. */
export class ListOrderError extends PipeError {
  readonly code = 'LIST_ORDER'
  override readonly hint =
    'the list must be newest first by `cover.time` (sort it in `request`); `overlap` says how far a row may stand out of order'
  constructor(pointer: string, time: string, after: string) {
    super(`${pointer} has the time ${time} and stands behind ${after}: the list is not newest first`)
  }
}

/** The source gave rows that were not asked for, so it does not heed the bounds of the request. */
export class PageOutsideError extends PipeError {
  readonly code = 'PAGE_OUTSIDE'
  override readonly hint = 'see that `request` names the bounds as the API calls them, in the unit that it wants (`cursor.time`)'
  /** `parameter`: what should bound the page. */
  constructor(pointer: string, time: string, asked: string, parameter: string) {
    super(`${pointer} has the time ${time}, and ${asked} was asked for: the source does not heed ${parameter}`)
  }
}

/** Rows that follow each other have the same key, so reading behind it would leave some out. */
export class CursorNotUniqueError extends PipeError {
  readonly code = 'CURSOR_NOT_UNIQUE'
  override readonly hint = 'page by a field that no two rows share: cursor: { key: FIELD }'
  constructor(value: string) {
    super(`several rows share the key ${value}, so nothing tells where to read on`)
  }
}

/** The source says that there are more rows than it gave. */
export class TotalMismatchError extends PipeError {
  readonly code = 'TOTAL_MISMATCH'
  override readonly hint = 'the next run reads the list again from its beginning'
  constructor(total: number, read: number) {
    super(`the source says that it has ${counted(total, 'rows')} and gave ${read}`)
  }
}

/** `cover` ends before it begins. */
export class CoverError extends PipeError {
  readonly code = 'COVER_REFUSED'
  override readonly hint = 'write days (`last: 180`), a duration (`last: 12h`) or two times (`from: 2024-01-01, to: 2024-02-01`)'
  constructor(problem: string) {
    super(`cover: ${problem}`)
  }
}

/** The list is said to end, and what is known says that it goes on. */
export class ListEndError extends PipeError {
  readonly code = 'LIST_END'
  override readonly blame = 'outage'
  override readonly hint =
    'run again: what was read is kept. When the API has really dropped what is older, let `cover` reach no further, or `pipe reset` that stretch'
  constructor(what: string) {
    super(`the source says that its list ends, and it does not: ${what}`)
  }
}

/** What had rows a moment ago has none any more. */
export class PagesSilentError extends PipeError {
  readonly code = 'PAGES_SILENT'
  override readonly blame = 'outage'
  override readonly hint = 'the API may be starting, or reading its data anew: run again later, what was read is kept'
  constructor(times: number) {
    super(`an empty page is no end: the page before it had rows, and asked again ${times} times it has none`)
  }
}

/** The source gave the same page for another place: it does not heed the parameter that names the place. */
export class ParameterIgnoredError extends PipeError {
  readonly code = 'PARAM_IGNORED'
  override readonly hint: string
  constructor(
    readonly parameter: string,
    gave: string,
    again: boolean,
  ) {
    super(`the source does not heed ${parameter}: it gave ${gave}`)
    this.hint = again
      ? 'compare `request` with the documentation of the API; if the API gives its last page again at the end: cursor: { …, end: same }'
      : 'compare `request` with the documentation of the API: the name of that parameter, and what it wants in it'
  }
}

/** A page has fewer rows than were asked for, and whether the next one begins behind them does not show. */
export class PageCutError extends PipeError {
  readonly code = 'PAGE_CUT'
  override readonly blame = 'outage'
  override readonly hint: string
  constructor(page: number, { name, rows, asked }: { readonly name: string; readonly rows: number; readonly asked: number }) {
    super(`page ${page} has ${counted(rows, 'rows')}, ${asked} were asked for, and nothing shows that the next page begins behind them`)
    this.hint = `the API may cut its pages in silence: ask for what it gives (${name}: ${rows}), or for rows by their number (cursor: { offset: true })`
  }
}

/** Rows that were read stand behind rows that they stood before, so others may stand where nothing is read any more. */
export class ListUnstableError extends PipeError {
  readonly code = 'LIST_UNSTABLE'
  override readonly blame = 'outage'
  override readonly hint =
    'sort by a second field that no two rows share, in `request`, or use a cursor that does not count rows (`next`, `key`)'
  constructor(pointer: string, instant: string | undefined) {
    super(
      `the list comes in another order each time: ${pointer}${instant === undefined ? '' : ` (${instant})`} does not stand where it stood a moment ago`,
    )
  }
}

/** A `Link` header is not what RFC 8288 says, so nobody knows whether it names a next page. */
export class LinkHeaderError extends PipeError {
  readonly code = 'LINK_HEADER'
  override readonly hint = 'the API, or a proxy before it, writes a Link header that can not be read; a header that is cut off is one, too'
  constructor(header: string, at: number) {
    const text = header.slice(at, at + 60)
    super(`the Link header can't be read from character ${at + 1} on: ${text}${header.length > at + 60 ? '…' : ''}`)
  }
}

/** A `Link` header names the next page by another relation than the file does. */
export class LinkRelationError extends PipeError {
  readonly code = 'LINK_RELATION'
  override readonly hint: string
  constructor(wanted: string, found: string) {
    super(`the Link header has no relation ${wanted}, and it has ${found}`)
    this.hint = `say which one leads to the next page: cursor: { link: ${found} }`
  }
}
