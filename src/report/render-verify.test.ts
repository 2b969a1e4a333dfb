import { expect, test } from 'vitest'
import type { Finding, VerifyReport } from '../verify/report.js'
import { renderVerify } from './render-verify.js'

const finding = (more: Partial<Finding>): Finding => ({
  check: 'sample',
  step: 'blocks',
  table: 'headers',
  unit: '0-99',
  key: null,
  problem: 'differs',
  fix: ['pipe reset m.yaml --step blocks --range 0..99', 'pipe run m.yaml'],
  difference: null,
  ...more,
})

function text(findings: readonly Finding[]): string[] {
  const report: VerifyReport = {
    pipeline: 'miners',
    warehouse: 'duckdb:m.duckdb',
    file: 'm.yaml',
    ok: findings.length === 0,
    seed: null,
    steps: [
      { id: 'blocks', title: '', type: 't', closes: false, units: 1, sampled: { units: 1, rows: 100 }, proof: null, more: 0, notes: [] },
    ],
    findings,
  }
  return renderVerify(report, 'pipe verify m.yaml --param to=99 --sample 1').split('\n')
}

test('of many findings of one kind the first are shown, with their command once, and the others counted', () => {
  const found = Array.from({ length: 60 }, (_, i) => finding({ key: String(i) }))
  expect(text([...found, finding({ check: 'gate', unit: null, table: null, problem: 'is closed', fix: [] })])).toEqual([
    'verify miners in duckdb:m.duckdb',
    '',
    'blocks  1 unit, 1 unit fetched again, 100 rows compared, 61 findings',
    '',
    ...[0, 1, 2, 3, 4].map((i) => `blocks 0-99 key ${i}: differs (sample)`),
    '    pipe reset m.yaml --step blocks --range 0..99',
    '    pipe run m.yaml',
    'and 55 more like these, mended by the same (--json lists them)',
    '',
    'blocks: is closed (gate)',
    '',
    '61 findings; pipe verify m.yaml --param to=99 --sample 1 again when they are mended',
    '',
  ])
})

test('findings that are mended by different commands have each its own', () => {
  const found = Array.from({ length: 7 }, (_, i) =>
    finding({ unit: String(i), fix: [`pipe reset m.yaml --step blocks --range ${i}..${i}`] }),
  )
  const lines = text(found)
  expect(lines.filter((line) => line.startsWith('    '))).toEqual(found.slice(0, 5).map(({ fix }) => `    ${fix[0]}`))
  expect(lines).toContain('and 2 more like these, each with its own command (--json lists them)')
})
