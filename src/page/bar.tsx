import { percent } from './words.js'

interface BarProps {
  readonly done: number
  readonly total: number | null
  /** Something is missing that is no part of it: it is never full. */
  readonly isShort?: boolean
  readonly tone?: string
  readonly label: string
}

/** How much is done of what is planned. */
export function Bar({ done, total, isShort = false, tone = 'busy', label }: BarProps) {
  const value = total === null ? undefined : percent(done, total, isShort)
  return (
    <span
      class={`bar ${tone}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value}
      aria-valuetext={value === undefined ? 'not planned' : `${value} %`}
    >
      <span style={{ width: `${value ?? 0}%` }} />
    </span>
  )
}
