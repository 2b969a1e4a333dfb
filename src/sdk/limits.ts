/** What a limit of the shell (`ulimit`) keeps a process from. */
export interface LimitFault {
  readonly problem: string
  readonly hint: string
}

const LIMITS: readonly (readonly [found: RegExp, problem: string, hint: string])[] = [
  [
    /\bEMFILE\b|too many open files|errno: 24\b/i,
    'this process may not open more files (`ulimit -n`)',
    'raise it before the run: ulimit -n 4096',
  ],
  [/\bENFILE\b/, 'this machine may not open more files', 'raise fs.file-max, or end what holds files open'],
  [/\bEFBIG\b|file too large|errno: 27\b/i, 'a file may not get larger (`ulimit -f`)', 'raise it before the run: ulimit -f unlimited'],
  [
    /can't start new thread|cannot schedule a task|no more threads|CANNOT_CREATE_THREAD|pthread_create|thread constructor failed|errno: 11\b/i,
    'this process may not start more threads (`ulimit -u`)',
    'raise it before the run: ulimit -u 4096',
  ],
  [
    /cannot allocate memory|failed to map segment|errno: 12\b|\bENOMEM\b|std::bad_alloc/i,
    'this process may not have more memory (`ulimit -v`, or the machine has no more)',
    'raise it before the run: ulimit -v unlimited; or make the query read less',
  ],
]

/** Which limit of the shell an error comes from, or undefined. */
export function limitFault(error: unknown): LimitFault | undefined {
  const text = error instanceof Error ? `${'code' in error ? String(error.code) : ''} ${error.message}` : String(error)
  const limit = LIMITS.find(([found]) => found.test(text))
  return limit && { problem: limit[1], hint: limit[2] }
}
