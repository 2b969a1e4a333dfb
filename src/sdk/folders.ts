import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder with those above it, where they are not there. Not by `recursive` of mkdir: that never ends in a folder that is
 * there and says ENOENT of what is made in it, such as /proc.
 *
 * @throws the error of the first folder that can't be made, with its `code`.
 */
export async function makeFolders(path: string): Promise<void> {
  if (await isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) await makeFolders(parent)
  try {
    await mkdir(path)
  } catch (error) {
    // Another process may have made it in between.
    if (!(await isFolder(path))) throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
