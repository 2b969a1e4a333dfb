import type { Json } from '../../src/sdk/authors.js'
import { PageShapeError } from './errors.js'
import { fieldOf, type Page, pointerOf } from './page.js'

/** How many rows the list has, as a reply says it: `header.NAME`, or a path into its body. @throws {PageShapeError} */
export function totalOf({ reply }: Page, path: string): number {
  const header = /^header\.(.+)$/.exec(path)?.[1]
  const keys = path.split('.')
  let value: Json | undefined = header === undefined ? reply.body : reply.headers[header.toLowerCase()]
  if (header === undefined) for (const key of keys) value = fieldOf(value, key)
  const total = typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value)) ? Number(value) : undefined
  if (total === undefined)
    throw new PageShapeError(header === undefined ? pointerOf(keys) : `the header ${header}`, 'is no number (`expect_total`)')
  return total
}
