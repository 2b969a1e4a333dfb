/** A program that a step has run. No shell reads any of it. */
export interface Program {
  /** A name that is looked for in PATH, or a path. */
  readonly command: string
  readonly args: readonly string[]
  /** Where it runs. A relative path begins at the working folder, which it is when left out. */
  readonly folder?: string
  /** Added to the environment that pipe itself has. */
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds that it has to end by itself once it was asked to (SIGTERM); then it is killed. */
  readonly graceMs: number
}

/** What a program that ended left. */
export interface ProgramEnd {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined
  readonly signal: string | undefined
  readonly ms: number
}

/** Lines of output that came since the last ones, or how it ended, which comes last. */
export type ProgramNews =
  { readonly lines: readonly string[]; readonly ms: number; readonly end?: undefined } | { readonly end: ProgramEnd }

/**
 * A program that runs. It is in a process group of its own, and whatever is left of that group is killed when the program ended, when
 * its reader leaves the loop, when its signal is aborted, and when pipe itself is killed. Nothing is kept but the last lines: a
 * program whose reader is slow waits.
 */
export interface RunningProgram extends AsyncIterable<ProgramNews> {
  /** A text that it said, without secrets. */
  masked(text: string): string
  /** The last lines that it said, stdout and stderr together, without secrets. A long line is cut. */
  said(): readonly string[]
  /** Resolves when nothing of its group runs any more. Never rejects. */
  readonly gone: Promise<void>
}

/** What `check` may ask of the machine that the file is checked on. Relative paths begin at the working folder. */
export interface Files {
  /** What is there at a path. */
  kind(path: string): 'file' | 'folder' | undefined
  /** The file that a command starts from a folder: of a name by PATH. Undefined when there is none that may be executed. */
  command(name: string, folder: string): string | undefined
}
