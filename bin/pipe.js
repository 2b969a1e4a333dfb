#!/usr/bin/env node
// Plain JavaScript that any Node reads, so that an old one gets a sentence and not a syntax error.
import { existsSync } from 'node:fs'

const version = process.versions.node.split('.').map(Number)
const main = new URL('../dist/src/cli/main.js', import.meta.url)

if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  fail('pipe needs Node 20.19 or newer, this is ' + process.versions.node + '\n  install a current one from https://nodejs.org')
} else if (!existsSync(main)) {
  fail(
    'pipe is not built yet (dist/src/cli/main.js is missing)\n' +
      '  run `npm ci` in the folder of pipe; where install scripts are switched off, run `npm run build` after it',
  )
} else {
  if (process.env.PIPE_DEBUG) process.setSourceMapsEnabled(true)
  import(main.href).then((cli) => cli.main())
}

function fail(message) {
  process.stderr.write('error: ' + message + '\n')
  process.exitCode = 2
}
