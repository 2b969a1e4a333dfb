/** What `batches` yields; throws as soon as the signal is aborted, also when the step never comes back. */
export async function* untilAborted<T>(batches: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = batches[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await orAborted(iterator.next(), signal)
      if (done) return
      yield value
    }
  } finally {
    // Not awaited: a step that hangs never answers.
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}

/**
 * The outcome of `work`, or the signal's reason when that is aborted first. One promise a call: a single one that lives as
 * long as the signal would keep whatever was raced against it.
 */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    const settled = (): void => signal.removeEventListener('abort', onAbort)
    work.then(resolve, reject).then(settled, settled)
  })
}
