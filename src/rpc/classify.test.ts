import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { classify, saysNothing } from './classify.js'

interface Row {
  readonly provider: string
  readonly class: string
  readonly status?: number
  readonly code?: number
  readonly message: string
  readonly data?: unknown
  readonly method?: string
  readonly asked?: readonly [string, string]
  readonly calls?: number
  readonly next?: readonly [string, string]
  readonly maxBlocks?: number
  readonly maxBatch?: number
  readonly waitMs?: number
  readonly reverted?: true
  readonly over?: string
  readonly maxResults?: number
}

const rows = JSON.parse(readFileSync(new URL('fixtures/rpc-errors.json', import.meta.url), 'utf8')) as readonly Row[]
const range = (pair: readonly [string, string]) => ({ from: BigInt(pair[0]), to: BigInt(pair[1]) })

describe('what providers say is understood', () => {
  test.each(rows.map((row) => [row.class, row.provider, row.message || `HTTP ${row.status}`, row] as const))(
    '%s: %s says "%s"',
    (_class, _provider, _message, row) => {
      const { provider: _, class: expected, asked, next, maxBlocks, over, maxResults, maxBatch, waitMs, reverted, ...error } = row
      expect(classify({ ...error, ...(asked ? { range: range(asked) } : {}) })).toEqual({
        class: expected,
        ...(next ? { next: range(next) } : {}),
        ...(maxBlocks === undefined ? {} : { maxBlocks }),
        ...(over === undefined ? {} : { over }),
        ...(maxResults === undefined ? {} : { maxResults }),
        ...(maxBatch === undefined ? {} : { maxBatch }),
        ...(waitMs === undefined ? {} : { waitMs }),
        ...(reverted ? { reverted } : {}),
      })
    },
  )
})

describe('a code alone never decides', () => {
  test.each([-32602, -32000, -32600, -32603, -32005])('%d goes with several meanings', (code) => {
    const meanings = [
      'missing trie node',
      'block range too large',
      'too many requests',
      'execution reverted',
      'the method x does not exist/is not available',
    ]
    expect(meanings.map((message) => classify({ code, message, method: 'eth_getLogs' }).class)).toEqual([
      'STATE',
      'SPLIT',
      'RATE',
      'BUG',
      'UNSUP',
    ])
  })
})

test('an HTTP status never vetoes what the text says', () => {
  for (const status of [200, 400, 413, 429, 500])
    expect(classify({ status, message: 'block range too large', method: 'eth_getLogs' }).class).toBe('SPLIT')
})

test('a text of megabytes is classified at once', () => {
  const started = performance.now()
  classify({ status: 500, message: 'block '.repeat(1_000_000) })
  expect(performance.now() - started).toBeLessThan(200)
})

test('a round without a block is told from a block that is not there yet', () => {
  const words = ['requested epoch was a null round (42)', 'Null round at height 42', 'slot 42 was skipped, or missing']
  expect(words.map((message) => saysNothing({ message }))).toEqual([true, true, true])
  expect(saysNothing({ message: 'failed', data: 'requested epoch was a null round' })).toBe(true)
  for (const message of ['header not found', 'block not found', 'execution reverted: nullRounding', 'missing trie node'])
    expect(saysNothing({ message })).toBe(false)
})
