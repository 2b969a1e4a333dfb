let running = 0

/** Whether a statement runs in threads of this process: it would end by itself only when they do. */
export const inThreads = (): boolean => running > 0

/** Runs a statement of a database that is inside of this process. */
export async function native<T>(run: () => Promise<T>): Promise<T> {
  running++
  try {
    return await run()
  } finally {
    running--
  }
}
