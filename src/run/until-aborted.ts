/** What `batches` yields; throws as soon as the signal is aborted, also when the step never comes back. */
export async function* untilAborted<T>(batches: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = batches[Symbol.asyncIterator]()
  let refuse: (reason: Error) => void = () => undefined
  const onAbort = (): void => refuse(signal.reason as Error)
  // One listener for all batches, and a promise for each: one that lives as long would keep whatever was raced against it.
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const work = iterator.next()
      const { done, value } = await new Promise<IteratorResult<T>>((resolve, reject) => {
        refuse = reject
        if (signal.aborted) onAbort()
        work.then(resolve, reject)
      })
      if (done) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: a step that hangs never answers.
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}
