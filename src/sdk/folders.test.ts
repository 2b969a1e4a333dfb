import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/folder.js'
import { makeFolders } from './folders.js'

it('folders that are not there are made with those above them, also by two at once, and those that are there stay', async () => {
  const root = temporaryFolder()
  mkdirSync(join(root, 'a'))
  const path = join(root, 'a/b/c')
  await Promise.all([makeFolders(path), makeFolders(path)])
  await makeFolders(path)
  expect(statSync(path).isDirectory()).toBe(true)
})

it('a file in the path is an error', async () => {
  const root = temporaryFolder()
  writeFileSync(join(root, 'file'), '')
  await expect(makeFolders(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(makeFolders(join(root, 'file/below'))).rejects.toMatchObject({ code: 'EEXIST' })
})

it.runIf(process.platform === 'linux')('a folder in /proc is an error and no wait without end', async () => {
  await expect(makeFolders('/proc/none/below')).rejects.toMatchObject({ code: 'ENOENT' })
})
