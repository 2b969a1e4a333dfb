import { useCallback, useEffect, useState } from 'preact/hooks'
import { ApiError, read } from './api.js'

export interface Answer<T> {
  /** The newest one, which stays while another is asked for. */
  readonly value: T | undefined
  readonly error: ApiError | undefined
  readonly again: () => void
}

/** Reads an address, and reads it again when it or `version` changes. Null: nothing is asked. */
export function useAnswer<T>(path: string | null, version: unknown = 0): Answer<T> {
  const [state, setState] = useState<{ path: string | null; value?: T; error?: ApiError }>({ path })
  const [asked, setAsked] = useState(0)
  useEffect(() => {
    if (path === null) return
    const over = new AbortController()
    read<T>(path, over.signal).then(
      (value) => setState({ path, value }),
      (error: unknown) => {
        if (!over.signal.aborted && error instanceof ApiError) setState((before) => ({ ...before, path, error }))
      },
    )
    return () => over.abort()
  }, [path, version, asked])
  const again = useCallback(() => setAsked((count) => count + 1), [])
  return { value: state.value, error: state.error, again }
}

/** The time, by the clock of the server, moving while `isMoving`. */
export function useNow(isMoving: boolean, ahead = 0): number {
  const [, setTicks] = useState(0)
  useEffect(() => {
    if (!isMoving) return
    const timer = setInterval(() => setTicks((ticks) => ticks + 1), 1_000)
    return () => clearInterval(timer)
  }, [isMoving])
  return Date.now() + ahead
}
