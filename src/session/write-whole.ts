import { rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PipeError } from '../sdk/index.js'
import { makeFolders } from '../sdk/folders.js'

/** A file that a step writes can't be written. */
export class FileNotWrittenError extends PipeError {
  readonly code = 'FILE_NOT_WRITTEN'
  override readonly blame = 'outage'
  override readonly hint = 'make its folder writable, or name another path; the next run writes it'
  constructor(path: string, cause: unknown) {
    super(`${path} can't be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** Writes a file beside its place and puts it there in one go, so that a reader never finds half of it. @throws {FileNotWrittenError} */
export async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.draft`
  try {
    await makeFolders(dirname(path))
    await writeFile(draft, text)
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw new FileNotWrittenError(path, error)
  }
}
