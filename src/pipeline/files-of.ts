import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import type { Files } from '../sdk/index.js'
import type { Variables } from './yaml/environment.js'

/** Where the system looks for programs when the environment has no PATH. */
const USUAL_PATH = '/usr/bin:/bin'

/** The files of this machine, as they are seen from the working folder and by the PATH of the environment. */
export function filesOf(cwd: string, { PATH = USUAL_PATH }: Variables): Files {
  return {
    kind: (path) => {
      const found = statSync(resolve(cwd, path), { throwIfNoEntry: false })
      if (found?.isFile() === true) return 'file'
      return found?.isDirectory() === true ? 'folder' : undefined
    },
    command: (name, folder) => {
      const from = resolve(cwd, folder)
      if (name.includes('/')) return [resolve(from, name)].find(isProgram)
      // An empty entry of PATH is the folder that the program runs in.
      return PATH.split(delimiter)
        .map((entry) => resolve(from, entry, name))
        .find(isProgram)
    },
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
