/** A place in a pipeline file, lines and columns from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A mistake in a pipeline file. Printed as `file:line:column  path: message (hint)`. */
export interface Problem extends Place {
  /** As a reader would write it: `steps[2].with.batch`. Empty for the file as a whole. */
  readonly path: string
  readonly message: string
  readonly hint?: string
  /** A warning does not stop anything: missing environment in `pipe validate`. */
  readonly severity: 'error' | 'warning'
}
