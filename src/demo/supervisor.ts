/**
 * A program for `node -e` that stands between us and the node: it starts the node, and when its own standard input
 * ends, which the operating system sees to however our process dies, it kills the node and removes its files.
 * Arguments: the folder to remove, the binary, the binary's arguments. Text, because a process cannot be started from
 * a function, and a file of its own would have to be found again after the build.
 */
export const supervisor = `
const { spawn } = require('node:child_process')
const { rmSync } = require('node:fs')
const [files, binary, ...args] = process.argv.slice(1)
const node = spawn(binary, args, { stdio: ['ignore', 'inherit', 'inherit'] })
if (node.pid) console.log('node ' + node.pid)
const stop = () => node.kill('SIGKILL')
process.stdin.on('end', stop).on('error', stop).on('close', stop).resume()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
node.on('error', (error) => { console.error(error.message); process.exitCode = 1; finish() })
node.on('exit', (code) => { process.exitCode = code ?? 0; finish() })
function finish() {
  rmSync(files, { recursive: true, force: true, maxRetries: 3 })
  process.exit()
}
`
