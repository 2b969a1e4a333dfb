import { pathText, type Where } from './node.js'
import type { Problem } from '../pipeline.js'

/** Gathers all problems of a file, so that nobody has to mend them one by one. */
export interface Problems {
  error(where: Where, message: string, hint?: string): void
  warning(where: Where, message: string, hint?: string): void
  add(problems: readonly Problem[]): void
  /** From now on and before, this value of a variable is shown as `${NAME}`. */
  hide(name: string, value: string): void
  /** Sorted by place (the files in the order of `files`), each only once. */
  all(files: readonly string[]): readonly Problem[]
  readonly failed: boolean
}

export function collectProblems(): Problems {
  const found = new Map<string, Problem>()
  const hidden = new Map<string, string>()
  let failed = false
  const put = (problem: Problem): void => {
    const key = `${problem.file}\n${problem.line}\n${problem.column}\n${problem.message}`
    if (problem.severity === 'error') failed = true
    if (!found.has(key)) found.set(key, problem)
  }
  const say = (severity: Problem['severity'], where: Where, message: string, hint: string | undefined): void =>
    put({ ...where.place, path: pathText(where.path), message, hint, severity })
  return {
    error: (where, message, hint) => say('error', where, message, hint),
    warning: (where, message, hint) => say('warning', where, message, hint),
    add: (problems) => problems.forEach(put),
    // A shorter value would blot out parts of ordinary words.
    hide: (name, value) => void (value.length < 4 || hidden.set(value, name)),
    all: (files) => {
      const rank = new Map(files.map((file, i) => [file, i]))
      const of = (problem: Problem): number => rank.get(problem.file) ?? files.length
      const without = hider(hidden)
      return [...found.values()].map(without).sort((a, b) => of(a) - of(b) || a.line - b.line || a.column - b.column)
    },
    get failed() {
      return failed
    },
  }
}

/** Messages may show only the beginning of a long value: all that follows it without a space goes with it. */
function hider(hidden: ReadonlyMap<string, string>): (problem: Problem) => Problem {
  if (hidden.size === 0) return (problem) => problem
  const patterns = [...hidden]
    .flatMap(([value, name]) => [value, JSON.stringify(value).slice(1, -1)].map((form) => ({ form, name })))
    .filter(({ form }) => form !== '')
    .sort((a, b) => b.form.length - a.form.length)
    .map(({ form, name }) => ({
      name,
      pattern: new RegExp(form.length > 8 ? `${escaped(form)}|${escaped(beginOf(form))}[^\\s\`]*` : escaped(form), 'g'),
    }))
  const clean = (text: string): string => patterns.reduce((before, { pattern, name }) => before.replace(pattern, () => `\${${name}}`), text)
  return (problem) => ({
    ...problem,
    message: clean(problem.message),
    hint: problem.hint === undefined ? undefined : clean(problem.hint),
  })
}

/** Eight characters, or the scheme of a URL and one more: a scheme alone tells nothing, and stands in many a hint. */
function beginOf(form: string): string {
  return form.slice(0, Math.max(8, (/^[A-Za-z][\w+.-]*:\/*/.exec(form)?.[0].length ?? 0) + 1))
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}
