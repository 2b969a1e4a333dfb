import { useState } from 'preact/hooks'
import { ApiError, pipelinePath, send } from './api.js'

/** How much a step does at once: units, or requests. */
export interface ParallelView {
  readonly of: 'units' | 'requests'
  /** Null: it is found. */
  readonly most: number | null
}

interface ParallelProps {
  readonly pipeline: string
  readonly step: string
  readonly parallel: ParallelView
}

const MOST = 1_000

/** What a step does at once, which can be changed while it runs. */
export function Parallel({ pipeline, step, parallel: { of, most } }: ParallelProps) {
  const [isOpen, setOpen] = useState(false)
  const [error, setError] = useState<ApiError>()
  const set = async (form: HTMLFormElement) => {
    try {
      await send(pipelinePath(pipeline, '/parallel'), { step, parallel: Number(new FormData(form).get('parallel')) })
      setError(undefined)
      setOpen(false)
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    }
  }
  const now = most === null ? `as many ${of} at once as it finds` : `${most} ${most === 1 ? of.slice(0, -1) : of} at once`
  if (!isOpen)
    return (
      <button class="link-like small" onClick={() => setOpen(true)} aria-label={`${step}: ${now}, change it`}>
        {now}
      </button>
    )
  return (
    <form
      class="row wrap small parallel"
      aria-label={`How many ${of} ${step} has at once`}
      onSubmit={(event) => {
        event.preventDefault()
        void set(event.target as HTMLFormElement)
      }}
    >
      <input
        type="number"
        name="parallel"
        min="1"
        max={MOST}
        step="1"
        required
        autofocus
        defaultValue={most ?? ''}
        aria-label={`${of} at once`}
      />
      {of} at once
      <button>Set</button>
      <button type="button" onClick={() => setOpen(false)}>
        Leave
      </button>
      {error ? (
        <span class="bad" role="alert">
          {error.message}
        </span>
      ) : null}
    </form>
  )
}
