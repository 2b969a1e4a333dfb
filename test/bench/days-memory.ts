import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { daysPipeline, readDays } from './days-world.js'
import { discard } from './discard.js'

/** A process of its own for goal G10: reads days, eight at once, into nowhere and tells its parent the peak of its RSS in MB. */
async function main([url = '', days = '']: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-days-'))
  const warehouse = discard()
  await readDays(await daysPipeline(folder, Number(days), 8), warehouse, `${url}/0`)
  await rm(folder, { recursive: true })
  if (warehouse.rows === 0) throw new Error('no rows')
  process.send?.(process.resourceUsage().maxRSS / 1024, () => process.disconnect())
}

await main(process.argv.slice(2))
