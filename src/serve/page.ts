import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { MiddlewareHandler } from 'hono'

interface PageFile {
  readonly type: string
  readonly plain: Uint8Array<ArrayBuffer>
  readonly gzip: Uint8Array<ArrayBuffer>
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The addresses of the page itself: the list, that of a pipeline, and the one that the old admin page had. */
const VIEWS = /^\/(?:|pipelines\/[^/]+|admin\/enrichment)$/
/** Their names have a hash of what they hold. */
const ASSETS = /^\/assets\/[\w.-]+$/

/** Whether an address is one of the page's, which says nothing of any pipeline and is given to whoever asks. */
export const isOfPage = (path: string): boolean => VIEWS.test(path) || ASSETS.test(path)

/** Gives the page that was built into a folder. Only files that were there at the start are, whatever is asked for. */
export function page(folder: string): MiddlewareHandler {
  const files = filesIn(folder)
  return async (c, next) => {
    const { method, path } = c.req
    if (method !== 'GET' || !isOfPage(path)) return next()
    const isView = VIEWS.test(path)
    const file = files.get(isView ? 'index.html' : path.slice('/assets/'.length))
    if (!file) {
      if (!isView) return next()
      return c.text('The page is not built. In the folder of pipe: npm run build\n', 503)
    }
    const isPacked = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
    c.header('Content-Type', file.type)
    c.header('Vary', 'Accept-Encoding')
    // A view may name other assets after an update; an asset never changes.
    c.header('Cache-Control', isView ? 'no-cache' : 'public, max-age=31536000, immutable')
    if (isPacked) c.header('Content-Encoding', 'gzip')
    return c.body(isPacked ? file.gzip : file.plain)
  }
}

function filesIn(folder: string): ReadonlyMap<string, PageFile> {
  const found = new Map<string, PageFile>()
  for (const part of ['.', 'assets']) {
    for (const name of namesIn(join(folder, part))) {
      const type = TYPES[extname(name)]
      if (type === undefined) continue
      const plain = Uint8Array.from(readFileSync(join(folder, part, name)))
      found.set(name, { type, plain, gzip: Uint8Array.from(gzipSync(plain)) })
    }
  }
  return found
}

/** None where the page is not built: the API answers without it. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
