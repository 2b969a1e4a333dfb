import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { keepSmall } from './memory.js'

it('has both engines give back what they free at once, unless somebody said otherwise', () => {
  const [plain, own] = [{}, { JE_MALLOC_CONF: 'narenas:1', DUCKDB_JE_MALLOC_CONF: 'narenas:2' }]
  keepSmall(plain)
  keepSmall(own)
  const atOnce = 'dirty_decay_ms:0,muzzy_decay_ms:0'
  expect(plain).toEqual({ JE_MALLOC_CONF: atOnce, DUCKDB_JE_MALLOC_CONF: atOnce })
  expect(own).toEqual({ JE_MALLOC_CONF: 'narenas:1', DUCKDB_JE_MALLOC_CONF: 'narenas:2' })
})

it('keeps the space of new objects as small as it was, also when a thread is started, and then much survives', async () => {
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8'
    import { Worker } from 'node:worker_threads'
    import { keepSmall } from ${JSON.stringify(fileURLToPath(new URL('./memory.ts', import.meta.url)))}
    const newSpace = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size
    keepSmall({})
    const before = newSpace()
    const worker = new Worker('', { eval: true })
    await new Promise((resolve) => worker.on('exit', resolve))
    const kept = []
    for (let i = 0; i < 2_000_000; i++) kept.push({ i })
    console.log(JSON.stringify([before, newSpace(), kept.length]))`
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const [before, after] = JSON.parse(stdout) as [number, number]
  expect(after).toBe(before)
  expect(before).toBeLessThan(20 * 2 ** 20)
})
