/**
 * An older script as a pipeline may find it: it knows nothing of pipe, reads a list, writes a file and prints how far it is.
 * `npx tsx scripts/enrich-positions.ts --limit=500 --out=positions.json`
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const option = (name: string, otherwise: string) =>
  process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise

const limit = Number(option('limit', '100'))
const out = option('out', 'positions.json')

interface Position {
  readonly id: number
  readonly lower: number
  readonly upper: number
  readonly tick: number
}

const positions = Array.from({ length: limit }, (_, i): Position => ({
  id: i + 1,
  lower: -600 + i,
  upper: 600 + i,
  tick: (i * 37) % 1_500,
}))

let inRange = 0
const enriched = positions.map((position, i) => {
  const status = position.tick >= position.lower && position.tick < position.upper ? 'IN_RANGE' : 'OUT_OF_RANGE'
  if (status === 'IN_RANGE') inRange++
  if ((i + 1) % 100 === 0 || i + 1 === limit) process.stdout.write(`  processed ${i + 1}/${limit} positions\n`)
  return { ...position, status }
})

mkdirSync(dirname(out), { recursive: true })
writeFileSync(out, JSON.stringify(enriched))
process.stdout.write(`✅ enriched ${enriched.length} positions, ${inRange} in range\n`)
