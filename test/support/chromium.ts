import { existsSync } from 'node:fs'

/** A Chromium of this machine; undefined: there is none. `PIPE_TEST_CHROMIUM` names another one. */
export const chromiumPath: string | undefined = [
  process.env.PIPE_TEST_CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== '' && existsSync(path))

// It asks for nothing by itself: neither updates nor a sandbox, which root has none of.
export const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
