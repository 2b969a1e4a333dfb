// Builds dist/: the types by tsc, the program by esbuild, the page of `pipe serve` by vite. A program of few files starts in
// half the processor time of one of hundreds. What the command line, `pipe/sdk` and `pipe/sdk/testing` share lies in shared chunks, so a plugin meets the
// classes of the core. Nothing is minified: a stack reads as the sources do. The chunks lie as deep below the root as the
// sources (`dist/src/chunks`, `src/cli`), so the same relative URL finds a file from both.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { buildPage } from './build-page.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

// These stay packages of their own: native code, what is there only if somebody installed it, the loader of TypeScript.
const PACKAGES = ['@duckdb/node-bindings*', 'libsql', '@foundry-rs/anvil', 'chdb', 'pg-native', 'tsx']
// knex names the drivers of all databases that it knows; we hand it the driver that it uses.
const OTHER_DRIVERS = ['better-sqlite3', 'mariadb', 'mysql', 'mysql2', 'oracledb', 'pg-query-stream', 'sqlite3', 'tedious']

rmSync(join(root, 'dist'), { recursive: true, force: true })
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/main.ts', 'src/sdk/authors.ts', 'src/sandbox/index.ts', 'src/sandbox/main.ts', 'src/net/sieve-worker.ts'],
  outdir: 'dist',
  outbase: '.',
  chunkNames: 'src/chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: 'linked',
  sourcesContent: false,
  external: [...PACKAGES, ...OTHER_DRIVERS],
  metafile: true,
  write: false,
  logLevel: 'warning',
})

const page = await buildPage(root)
copyFileSync(join(root, 'src/pipeline/known-chains.json'), made('dist/src/pipeline/known-chains.json'))
writeFileSync(made('dist/LICENSES.txt'), licenses([...Object.keys(metafile.inputs), ...page.inputs]))
// `prepare` takes dist/src/cli/main.js for a sign that all of dist/ is there, so the entries come after what they import.
for (const { path, text } of outputFiles.sort((a, b) => (Number(a.path.includes('chunks')) < Number(b.path.includes('chunks')) ? 1 : -1)))
  writeFileSync(made(path), withRequire(text))

/** Packages in CommonJS ask for `require`, which a module does not have. Only the chunk with esbuild's own helpers calls it. */
function withRequire(text) {
  if (!text.includes('var __require = ')) return text
  // In the same line, so that the source map still holds.
  return `import { createRequire as createRequire$ } from 'node:module'; const require = createRequire$(import.meta.url); ${text}`
}

/** The licenses of the packages that were bundled: each asks to be where its code is. */
function licenses(inputs) {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []))
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
      const file = readdirSync(join(root, folder)).find((each) => /^(licen[sc]e|copying)/i.test(each))
      const text = file === undefined ? '' : `\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
      return `${name} ${version}: ${license}\n${text}`
    })
    .join(`\n${'-'.repeat(80)}\n`)
}

/** An absolute path, with its folder there. */
function made(path) {
  const absolute = join(root, path.startsWith(root) ? path.slice(root.length) : path)
  mkdirSync(dirname(absolute), { recursive: true })
  return absolute
}
