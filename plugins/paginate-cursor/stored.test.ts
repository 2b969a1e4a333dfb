import { expect, it } from 'vitest'
import { runStep } from '../../src/sandbox/index.js'
import type { HttpClient, Json, Table } from '../../src/sdk/index.js'
import { paginateCursor } from './paginate-cursor.js'

/** What a reading stores of the way, and when it ends. */

const table: Table = {
  name: 't',
  columns: [{ name: 'id', type: { kind: 'text' }, nullable: false }],
  key: ['id'],
  range: undefined,
  indexes: {},
  retention: undefined,
}

const timed: Table = {
  ...table,
  columns: [...table.columns, { name: 'time', type: { kind: 'timestamp' }, nullable: false }],
  range: 'time',
}
const NOON = 1_700_006_400

/** A list in pages of three. */
function listOf(ids: readonly string[]): HttpClient {
  return {
    get: (request) => {
      const page = Number('path' in request ? request.query?.page : 0)
      const items = ids.slice((page - 1) * 3, page * 3).map((id): Json => ({ id }))
      const body: Json = { items }
      return Promise.resolve({ status: 200, headers: {}, body, exact: () => body, place: (address) => address })
    },
  }
}

it('by page, only a place at which a page was taken is stored, not one that was looked at to believe it', async () => {
  const { batches } = await runStep(paginateCursor, {
    config: { request: { path: '/', query: { page: '$page', limit: 3 } }, records: 'items', cursor: { page: true }, row: { id: 'id' } },
    tables: [table],
    into: 't',
    http: listOf(['a', 'b', 'c', 'd', 'e', 'f', 'g']),
  })
  const places = batches.flatMap(({ cursor }) => (cursor ? [cursor.place] : []))
  expect([...new Set(places.map((place) => JSON.stringify(place)))]).toEqual([
    '{"page":2,"last":"c"}',
    '{"page":3,"last":"f"}',
    '{"page":4,"last":"g"}',
  ])
})

/** A list of two pages whose second one is answered by different replicas. The times of its rows are those of their letters. */
async function byReplicas(second: readonly (readonly [string, string | null])[]): Promise<string> {
  const answers: Record<string, readonly (readonly [string, string | null])[]> = { '': [['abc', '2']], 2: second, 3: [['ghi', null]] }
  const asked = new Map<string, number>()
  const http: HttpClient = {
    get: (request) => {
      const cursor = 'path' in request ? String(request.query?.cursor ?? '') : ''
      const before = asked.get(cursor) ?? 0
      asked.set(cursor, before + 1)
      const list = answers[cursor] ?? []
      const [ids = '', next = null] = list[Math.min(before, list.length - 1)] ?? []
      const body: Json = { items: [...ids].map((id) => ({ id, time: NOON - id.charCodeAt(0) * 100 })), next }
      return Promise.resolve({ status: 200, headers: {}, body, exact: () => body, place: (address) => address })
    },
  }
  const { batches } = await runStep(paginateCursor, {
    config: {
      cover: { from: '2023-11-14T00:00:00Z', time: 'time' },
      request: { path: '/', query: { cursor: '$cursor', limit: 3 } },
      records: 'items',
      cursor: { next: 'next' },
      row: { id: 'id', time: 'time' },
    },
    tables: [timed],
    into: 't',
    scope: { now: { type: { kind: 'timestamp' }, value: BigInt(NOON + 10 * 86_400) * 1_000_000n } },
    http,
  })
  const ids = batches.flatMap(({ rows }) => Array.from(rows?.t ?? [], ({ id }) => String(id)))
  return [...new Set(ids)].sort().join('')
}

it('of two answers without one row in common, that both say the end, the one counts that a third agrees with', async () => {
  // Nothing behind it, says one replica; another one is far behind, and its list ends elsewhere.
  expect(
    await byReplicas([
      ['def', null],
      ['hi', null],
      ['def', '3'],
    ]),
  ).toBe('abcdefghi')
})

it('of two answers without one row in common, the second of which goes on, the one counts that a third agrees with', async () => {
  expect(
    await byReplicas([
      ['def', null],
      ['ghi', '3'],
      ['def', '3'],
    ]),
  ).toBe('abcdefghi')
})

it('three answers of a page of which none agrees with another are no page', async () => {
  await expect(
    byReplicas([
      ['def', null],
      ['hi', null],
      ['kl', null],
    ]),
  ).rejects.toThrow('the list comes in another order each time')
})

it('a list does not end above a row that one of its answers showed and no page brought', async () => {
  const answers: Record<number, readonly string[]> = { 1: ['abc'], 2: ['def', 'dxf'], 3: ['g'], 4: [''] }
  const asked = new Map<number, number>()
  const http: HttpClient = {
    get: (request) => {
      const page = Number('path' in request ? request.query?.page : 0)
      const before = asked.get(page) ?? 0
      asked.set(page, before + 1)
      const list = answers[page] ?? ['']
      const body: Json = { items: [...(list[Math.min(before, list.length - 1)] ?? '')].map((id) => ({ id })) }
      return Promise.resolve({ status: 200, headers: {}, body, exact: () => body, place: (address) => address })
    },
  }
  const run = runStep(paginateCursor, {
    config: { request: { path: '/', query: { page: '$page', limit: 3 } }, records: 'items', cursor: { page: true }, row: { id: 'id' } },
    tables: [table],
    into: 't',
    http,
  })
  await expect(run).rejects.toThrow('the list comes in another order each time')
})
