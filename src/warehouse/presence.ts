import { stat } from 'node:fs/promises'
import { WarehouseGoneError } from './errors.js'

/** A file or folder that is open, as it was found under its path. */
export class Presence {
  readonly #path: string
  readonly #display: string
  readonly #found: string | undefined

  private constructor(path: string, display: string, found: string | undefined) {
    this.#path = path
    this.#display = display
    this.#found = found
  }

  static async of(path: string, display: string): Promise<Presence> {
    return new Presence(path, display, await identity(path))
  }

  /**
   * What is written into a file that was deleted is gone when the process ends, and no database says so.
   *
   * @throws {WarehouseGoneError} when the path names nothing or something else now.
   */
  async check(): Promise<void> {
    const now = await identity(this.#path)
    if (this.#found !== now) throw new WarehouseGoneError(this.#display, now === undefined ? 'deleted or moved' : 'replaced by another')
  }
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    // What can't be looked at is not known to be gone.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined
    throw error
  }
}
