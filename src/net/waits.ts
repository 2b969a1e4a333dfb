/** What an endpoint is waited for: answers under way, or that something may be sent again. Times are milliseconds. */
export interface Wait {
  /** Host only. */
  readonly endpoint: string
  /** Requests under way, and how long the oldest of them. */
  readonly requests: number
  readonly sinceMs: number
  /** How long nothing is sent yet, and why. */
  readonly quietMs: number
  readonly reason: string | undefined
}
