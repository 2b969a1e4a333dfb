import type { Lie } from './lying-api.js'

/** A list and the lies that are told of it in the first two runs of four. */
export interface World {
  /** Of each row, in seconds. */
  readonly times: readonly number[]
  /** Rows a page. */
  readonly limit: number
  /** Whether bounds of time include their rows. */
  readonly inclusive: boolean
  readonly first: readonly Lie[]
  readonly second: readonly Lie[]
  /** Rows that come in after the first run. */
  readonly grows: number
  /** Whether the second run sees false ends that never stop, once rows are known below. */
  readonly ends: boolean
}

export type Found = readonly [what: string, way: string, covered: boolean, of: World]

/** Worlds in which an earlier version lost a row in silence, or went on failing when the API had become honest. */
export const FOUND: readonly Found[] = [
  [
    'a stored cursor that leads to the beginning of the list',
    'next',
    true,
    {
      times: [10, 3818, 7, 12286, 0, 6, 16, 2, 14389, 15],
      limit: 4,
      inclusive: false,
      first: [{ kind: 'circle', row: 6 }],
      second: [{ kind: 'shuffled' }, { kind: 'silent', from: 11, to: 16 }],
      grows: 9,
      ends: true,
    },
  ],
  [
    'a stored offset behind the end of the list',
    'offset',
    false,
    {
      times: [1, 12049, 19, 3, 10],
      limit: 6,
      inclusive: true,
      first: [
        { kind: 'no-next', at: 6 },
        { kind: 'ignored', parameter: 'offset' },
      ],
      second: [{ kind: 'swapped', at: 1, row: 1, flips: true }],
      grows: 2,
      ends: true,
    },
  ],
  [
    'rows of one second in another order when the reading goes on',
    'offset',
    true,
    {
      times: [2, 5990, 11630, 7, 10, 2, 13865, 3470],
      limit: 2,
      inclusive: false,
      first: [{ kind: 'shuffled' }, { kind: 'silent', from: 7, to: 14 }],
      second: [{ kind: 'no-next', at: 7 }],
      grows: 10,
      ends: false,
    },
  ],
  [
    'the last page from a replica that is behind',
    'page',
    true,
    {
      times: [13794, 6149, 11829, 9370, 4, 18, 26, 1, 25, 11, 2],
      limit: 6,
      inclusive: false,
      first: [{ kind: 'shuffled' }, { kind: 'behind', at: 2, rows: 2 }],
      second: [],
      grows: 12,
      ends: false,
    },
  ],
  [
    'a stored page that lies two behind the one that was read',
    'page',
    false,
    {
      times: [10255, 16, 18, 11702, 19, 6, 4, 12990],
      limit: 7,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'page' }],
      second: [],
      grows: 7,
      ends: false,
    },
  ],
  [
    'windows of which the API gives one row each',
    'window',
    true,
    {
      times: [5, 8, 3889, 24, 1636, 23],
      limit: 2,
      inclusive: false,
      first: [{ kind: 'capped', rows: 1 }],
      second: [],
      grows: 0,
      ends: true,
    },
  ],
  [
    'the oldest second in another order each time (it was read without end)',
    'offset',
    true,
    { times: [10, 10, 1445], limit: 7, inclusive: false, first: [{ kind: 'shuffled' }], second: [], grows: 2, ends: false },
  ],
  [
    'a place within a second of which the API had ignored the offset',
    'ties',
    true,
    {
      times: [9, 10, 20, 22, 14195, 2640, 0, 6443, 20, 14, 7010],
      limit: 2,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'offset' }],
      second: [],
      grows: 3,
      ends: false,
    },
  ],
  [
    'a page from a replica that is behind, and nothing more from then on',
    'key',
    true,
    {
      times: [6896, 8, 29, 4502, 1390, 29],
      limit: 3,
      inclusive: false,
      first: [],
      second: [{ kind: 'behind', at: 2, rows: 8 }],
      grows: 8,
      ends: true,
    },
  ],
  [
    'a page from a replica that is behind, of a list without times',
    'next',
    false,
    {
      times: [7424, 11, 7146, 17, 2579, 3471, 11, 4985],
      limit: 2,
      inclusive: true,
      first: [{ kind: 'behind', at: 3, rows: 5 }],
      second: [],
      grows: 1,
      ends: false,
    },
  ],
  [
    'a window that is refused for its rows, and nothing for the others',
    'window',
    true,
    {
      times: [5, 11, 4, 22, 12732],
      limit: 6,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'start' }],
      second: [{ kind: 'ignored', parameter: 'start' }],
      grows: 7,
      ends: true,
    },
  ],
  [
    'rows of one second in another order behind a cursor that names one of them',
    'next',
    true,
    {
      times: [21, 26, 3, 297, 24, 6, 24, 4],
      limit: 4,
      inclusive: false,
      first: [{ kind: 'shuffled' }],
      second: [{ kind: 'shuffled' }, { kind: 'swapped', at: 8, row: 5, flips: true }],
      grows: 2,
      ends: false,
    },
  ],
  [
    'rows of one second in another order, of a list without times',
    'key',
    false,
    {
      times: [19, 4, 0, 1, 261, 19, 6347, 9, 13, 4778],
      limit: 4,
      inclusive: false,
      first: [{ kind: 'shuffled' }, { kind: 'circle', row: 6 }],
      second: [
        { kind: 'silent', from: 6, to: 14 },
        { kind: 'circle', row: 20 },
      ],
      grows: 1,
      ends: true,
    },
  ],
  [
    'an end that is said of the first page, and again by a replica that is far behind',
    'next',
    true,
    {
      times: [9, 4480, 6135, 0, 12756, 28, 12, 25, 9551, 28],
      limit: 6,
      inclusive: true,
      first: [
        { kind: 'behind', at: 3, rows: 8 },
        { kind: 'no-next', at: 1 },
      ],
      second: [{ kind: 'shuffled' }],
      grows: 10,
      ends: true,
    },
  ],
  [
    'a page from a replica that does not know the key, of a list without times',
    'key',
    false,
    {
      times: [8, 4801, 6, 21, 6664, 22, 30, 12, 813, 6399],
      limit: 3,
      inclusive: true,
      first: [
        { kind: 'silent', from: 9, to: 16 },
        { kind: 'behind', at: 3, rows: 6 },
      ],
      second: [
        { kind: 'refused', at: 8, status: 500 },
        { kind: 'circle', row: 18 },
      ],
      grows: 6,
      ends: true,
    },
  ],
  [
    'a stored cursor that stands before another row of its second',
    'next',
    false,
    {
      times: [0, 28, 14, 5107, 10322, 15, 8221, 13, 23, 9, 28, 0],
      limit: 3,
      inclusive: false,
      first: [{ kind: 'ignored', parameter: 'cursor' }],
      second: [{ kind: 'circle', row: 24 }, { kind: 'shuffled' }],
      grows: 0,
      ends: true,
    },
  ],
  [
    'a page that is asked for in vain, and once more by an API that heeds no cursor',
    'next',
    true,
    {
      times: [7, 5, 16, 6, 9391, 22, 0, 26, 0, 19, 9, 21],
      limit: 3,
      inclusive: false,
      first: [
        { kind: 'behind', at: 2, rows: 4 },
        { kind: 'ignored', parameter: 'cursor' },
      ],
      second: [{ kind: 'silent', from: 10, to: 10 }],
      grows: 9,
      ends: true,
    },
  ],
  [
    'a page of the list without its newest rows, which shares none with the right one',
    'key',
    true,
    {
      times: [19, 22, 26, 22, 22, 24, 29, 12119, 28],
      limit: 2,
      inclusive: true,
      first: [
        { kind: 'behind', at: 6, rows: 7 },
        { kind: 'swapped', at: 1, row: 9, flips: true },
      ],
      second: [],
      grows: 9,
      ends: false,
    },
  ],
  [
    'the last two rows, which change places while the end is read',
    'key',
    true,
    {
      times: [3758, 10, 193, 12644, 1, 14, 11442, 6713, 15, 0, 7],
      limit: 5,
      inclusive: true,
      first: [{ kind: 'swapped', at: 3, row: 9, flips: false }],
      second: [],
      grows: 1,
      ends: false,
    },
  ],
  [
    'the last two rows, which change places while the end is read',
    'page',
    false,
    {
      times: [3758, 10, 193, 12644, 1, 14, 11442, 6713, 15, 0, 7],
      limit: 5,
      inclusive: true,
      first: [{ kind: 'swapped', at: 3, row: 9, flips: false }],
      second: [],
      grows: 1,
      ends: false,
    },
  ],
  [
    'a last row that moves to the page before',
    'page',
    true,
    {
      times: [23, 3909, 3419, 657, 11, 6, 21, 3820, 11],
      limit: 4,
      inclusive: true,
      first: [{ kind: 'shuffled' }, { kind: 'swapped', at: 5, row: 7, flips: false }],
      second: [
        { kind: 'behind', at: 8, rows: 4 },
        { kind: 'no-next', at: 3 },
      ],
      grows: 3,
      ends: true,
    },
  ],
  [
    'a row that moves above the one behind which is read',
    'key',
    true,
    {
      times: [4, 8, 14, 6932, 13758, 5122, 24, 7435, 10, 12, 8997, 7159],
      limit: 4,
      inclusive: true,
      first: [
        { kind: 'capped', rows: 2 },
        { kind: 'swapped', at: 10, row: 9, flips: false },
      ],
      second: [],
      grows: 2,
      ends: true,
    },
  ],
  [
    'a stored cursor from a list whose order turned',
    'next',
    true,
    {
      times: [8, 8, 4433, 4161, 8, 12684, 6, 5403],
      limit: 7,
      inclusive: false,
      first: [{ kind: 'swapped', at: 10, row: 1, flips: false }, { kind: 'shuffled' }],
      second: [{ kind: 'shuffled' }],
      grows: 3,
      ends: false,
    },
  ],
  [
    'rows of one second that turn within a window of the past',
    'windows',
    true,
    {
      times: [5506, 9, 5, 5634, 4117, 9, 12206, 490, 6, 1071, 9],
      limit: 4,
      inclusive: true,
      first: [{ kind: 'shuffled' }],
      second: [{ kind: 'shuffled' }, { kind: 'behind', at: 2, rows: 7 }],
      grows: 0,
      ends: true,
    },
  ],
  [
    'a window whose first second is cut',
    'window',
    true,
    {
      times: [9, 14398, 12625, 10038, 2, 12286, 16, 0, 0, 7, 14397, 0],
      limit: 7,
      inclusive: true,
      first: [{ kind: 'capped', rows: 6 }],
      second: [
        { kind: 'capped', rows: 6 },
        { kind: 'circle', row: 3 },
      ],
      grows: 9,
      ends: true,
    },
  ],
  [
    'a place that was looked at for what follows, and is stored',
    'page',
    false,
    {
      times: [8371, 12286, 3, 8050, 1636, 4954, 3],
      limit: 3,
      inclusive: false,
      first: [{ kind: 'refused', at: 11, status: 400 }, { kind: 'shuffled' }],
      second: [{ kind: 'shuffled' }],
      grows: 6,
      ends: true,
    },
  ],
  [
    'a row of a second that takes the place of another, while two rows change places for good',
    'page',
    true,
    {
      times: [4, 12, 12750, 0, 1464, 5822, 16, 14392, 4, 12],
      limit: 2,
      inclusive: true,
      first: [{ kind: 'shuffled' }, { kind: 'swapped', at: 8, row: 6, flips: false }],
      second: [],
      grows: 12,
      ends: true,
    },
  ],
  [
    'a row that was shown by a page which had another one when it was read again',
    'page',
    true,
    {
      times: [1793, 12, 6, 5, 19, 4386, 7419, 3561],
      limit: 3,
      inclusive: true,
      first: [{ kind: 'ignored', parameter: 'page' }],
      second: [
        { kind: 'circle', row: 4 },
        { kind: 'swapped', at: 1, row: 11, flips: true },
      ],
      grows: 5,
      ends: false,
    },
  ],
  ...['next', 'link'].map((way): Found => [
    'rows of one second in another order in each of two answers of one page',
    way,
    true,
    {
      times: [3, 0, 8, 3194, 16, 16, 29, 12595, 1690],
      limit: 4,
      inclusive: true,
      first: [{ kind: 'silent', from: 10, to: 16 }, { kind: 'shuffled' }],
      second: [{ kind: 'no-next', at: 12 }],
      grows: 8,
      ends: true,
    },
  ]),
  ...['window', 'windows'].map((way): Found => [
    'the newest window from a replica that is behind',
    way,
    true,
    {
      times: [10664, 12612, 2915, 1187, 12670, 634],
      limit: 4,
      inclusive: false,
      first: [],
      second: [{ kind: 'behind', at: 1, rows: 2 }],
      grows: 4,
      ends: false,
    },
  ]),
]
