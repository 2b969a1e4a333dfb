import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pipe } from '../../test/support/cli.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'

const service = join(import.meta.dirname, 'wallet-metrics.service')
const timer = join(import.meta.dirname, 'wallet-metrics.timer')

test('the service runs a command that there is, on a pipeline that there is', async () => {
  const [, line = ''] = /^ExecStart=\/usr\/bin\/node \/srv\/pipe\/bin\/pipe\.js (.*)$/m.exec(readFileSync(service, 'utf8')) ?? []
  const [command, file, ...flags] = line.split(' ')
  expect(command).toBe('run')
  expect(existsSync(join(projectFolder, file!))).toBe(true)
  // A file that is not there is what it stumbles over, so all flags were understood.
  const { code, err } = await pipe(['run', 'not-there.yaml', ...flags], { cwd: temporaryFolder() })
  expect([code, err]).toEqual([2, expect.stringContaining('not-there.yaml') as string])
})

test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd understands service and timer', () => {
  const { stderr } = spawnSync('/usr/bin/systemd-analyze', ['verify', service, timer], { encoding: 'utf8' })
  // Where node is on this machine is not what is asked.
  const said = stderr.split('\n').filter((line) => line.includes('wallet-metrics') && !line.includes('is not executable'))
  expect(said).toEqual([])
})
