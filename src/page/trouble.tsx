import type { ApiError } from './api.js'

/** What went wrong, and what to do. */
export function Trouble({ error }: { error: ApiError }) {
  return (
    <p class="trouble" role="alert">
      <strong>{error.message}</strong>
      {error.hint === undefined ? null : <span> {error.hint}</span>}
    </p>
  )
}
