import type { Problem } from '../pipeline.js'

/** `pipelines/miners.yaml:14:11  steps[2].with.batch: must be <= 1000 (is 5000)`, with the hint in parentheses after it. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, path, severity } = problem
  return `${file}:${line}:${column}  ${severity === 'warning' ? 'warning: ' : ''}${path === '' ? '' : `${path}: `}${messageOf(problem)}`
}

/** A workflow command of GitHub, which shows it beside the line in a pull request. */
export function formatAnnotation(problem: Problem): string {
  const { file, line, column, path, severity } = problem
  const where = [`file=${property(file)}`, `line=${line}`, `col=${column}`, ...(path === '' ? [] : [`title=${property(path)}`])]
  return `::${severity} ${where.join(',')}::${data(messageOf(problem))}`
}

/** Problems for machines, as they are. */
export function formatJson(problems: readonly Problem[]): string {
  return JSON.stringify(problems, null, 2)
}

function messageOf({ message, hint }: Problem): string {
  return hint === undefined ? message : `${message} (${hint})`
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
