// Builds dist/ unless it is newer than every source: npm runs `prepare` also each time that `npx pipe` is called in this folder.
import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return 0
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

const built = statSync(join(root, 'dist/src/cli/main.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0
const sources = [
  'src',
  'plugins',
  'scripts/build.mjs',
  'scripts/build-page.mjs',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
].map((name) => newest(join(root, name)))
if (Math.max(...sources) > built)
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
