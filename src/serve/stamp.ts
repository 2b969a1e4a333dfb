import { stat } from 'node:fs/promises'
import type { Pipeline } from '../pipeline/pipeline.js'
import { localPlace } from '../sdk/index.js'
import { warehouseUrl } from '../session/places.js'

/** Changes when the file of a DuckDB does, whoever writes it; undefined for what is no file. */
export async function stampOf({ warehouse }: Pipeline, cwd: string): Promise<string | undefined> {
  const place = localPlace(warehouseUrl(warehouse, { cwd }))
  if (place?.scheme !== 'duckdb' || place.path === ':memory:') return undefined
  const found = await Promise.all([place.path, `${place.path}.wal`].map((path) => stat(path).catch(() => undefined)))
  return found.map((file) => (file ? `${file.mtimeMs} ${file.size}` : 'none')).join(', ')
}
