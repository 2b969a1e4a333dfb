// Builds dist/page/, what a browser gets from `pipe serve`: npm run build does it; by hand, node scripts/build-page.mjs
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

/** What the page may weigh: people open it over slow lines when something is on fire. */
const MOST_GZIP_BYTES = 150_000

/** Resolves to the files that it was made of, and what they weigh. */
export async function buildPage(root) {
  const outDir = join(root, 'dist/page')
  const { output } = await build({
    configFile: false,
    root: join(root, 'src/page'),
    logLevel: 'warn',
    // An inlined file would need a hole in the Content-Security-Policy.
    build: { outDir, emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: 'es2023' },
  })
  const scripts = readdirSync(join(outDir, 'assets')).filter((name) => name.endsWith('.js'))
  const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(outDir, 'assets', name))).length, 0)
  if (bytes > MOST_GZIP_BYTES) throw new Error(`the scripts of the page have ${bytes} bytes in gzip, more than ${MOST_GZIP_BYTES}`)
  const modules = output.flatMap((file) => (file.type === 'chunk' ? Object.keys(file.modules) : []))
  return { inputs: modules.filter((id) => id.startsWith(root)).map((id) => relative(root, id)), bytes }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { bytes } = await buildPage(join(fileURLToPath(import.meta.url), '../..'))
  process.stdout.write(`dist/page: ${bytes} bytes of JavaScript in gzip\n`)
}
