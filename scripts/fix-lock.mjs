// Completes package-lock.json. npm leaves a package of another platform out of the lock when the registry that it asked
// does not have it, and `npm ci` then refuses the lock on every platform. A package names its platform packages with exact
// versions in `optionalDependencies`, so the missing entries can be written without asking anybody.
import { readFileSync, writeFileSync } from 'node:fs'

const path = process.argv[2] ?? 'package-lock.json'
const lock = JSON.parse(readFileSync(path, 'utf8'))
const added = []

for (const [folder, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (resolves(folder, name)) continue
    if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${folder} wants ${name}@${version}: only an exact version can be added`)
    lock.packages[`node_modules/${name}`] = entry(name, version, parent)
    added.push(`${name}@${version}`)
  }
}

if (added.length > 0) {
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
}
console.log(added.length === 0 ? `${path} is complete` : `${path}: added ${added.join(', ')}`)

/** Whether Node would find `name` from `folder`: there, or in a folder above. */
function resolves(folder, name) {
  for (let at = folder; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    if (lock.packages[at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`]) return true
    if (at === '' || !at.includes('/node_modules/')) return Boolean(lock.packages[`node_modules/${name}`])
  }
}

function entry(name, version, parent) {
  const words = name.split(/[-/]/)
  const os = { darwin: 'darwin', linux: 'linux', win32: 'win32', windows: 'win32', android: 'android', freebsd: 'freebsd' }
  const cpu = { x64: 'x64', amd64: 'x64', arm64: 'arm64', arm: 'arm', ia32: 'ia32' }
  const libc = { gnu: 'glibc', glibc: 'glibc', musl: 'musl' }
  const first = (table) => words.map((word) => table[word]).find(Boolean)
  return {
    version,
    ...(first(cpu) ? { cpu: [first(cpu)] } : {}),
    ...(parent.dev ? { dev: true } : {}),
    ...(first(libc) ? { libc: [first(libc)] } : {}),
    optional: true,
    ...(first(os) ? { os: [first(os)] } : {}),
  }
}
