import { expect, it } from 'vitest'
import { numberAxis, type Piece, timeAxis } from '../sdk/index.js'
import { pieceReport } from './piece-report.js'

const order = 'oldest-first'
const far = 2n ** 53n + 1n

it.each<[string, Piece, object]>([
  [
    'a stretch of blocks',
    { kind: 'stretch', axis: numberAxis(1000), from: 18_000_000n, to: 18_000_999n, order },
    { kind: 'stretch', of: 'numbers', from: '18000000', to: '18000999', order },
  ],
  [
    'a stretch of time',
    { kind: 'stretch', axis: timeAxis(), from: 1_700_000_000_000_000n, to: 1_700_000_000_999_999n, order },
    { kind: 'stretch', of: 'time', from: '1700000000000000', to: '1700000000999999', order },
  ],
  [
    'rows by an integer key',
    { kind: 'rows', order, keys: [-far, far], redo: true },
    { kind: 'rows', keys: ['-9007199254740993', '9007199254740993'], redo: true, order },
  ],
  ['rows by another key', { kind: 'rows', order, redo: false }, { kind: 'rows', redo: false, order }],
  ['a task', { kind: 'task' }, { kind: 'task' }],
])('%s is plain data, exact to the digit', (_, piece, json) => {
  expect(JSON.parse(JSON.stringify(pieceReport(piece)))).toEqual(json)
})
