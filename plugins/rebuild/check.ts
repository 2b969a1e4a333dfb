import {
  type CheckContext,
  checkProblems,
  type ConfigProblem,
  didYouMean,
  type Output,
  parseDuration,
  queryProblem,
  textReferences,
  shadowName,
  sqlProblem,
  sqlTexts,
  type StepInput,
  tablesIn,
} from '../../src/sdk/authors.js'
import { type Config, isTable } from './config.js'

/** What can be said of `with` before any value is known. */
export function* checkConfig({ config, tables, names }: CheckContext<Config>): Iterable<ConfigProblem> {
  const ids = new Set<string>()
  const built: string[] = []
  const later = new Set(config.parts.filter(isTable).map(({ into }) => into))
  for (const [i, part] of config.parts.entries()) {
    const at = (...rest: readonly (string | number)[]) => ['parts', i, ...rest]
    if (ids.has(part.id)) yield { path: at('id'), message: `two parts are named ${part.id}`, hint: 'each is known by its name' }
    ids.add(part.id)
    if (!isTable(part)) {
      for (const problem of checkProblems(part.checks, { tables, shadows: built.map(shadowName) }))
        yield { ...problem, path: at('checks', ...problem.path) }
      continue
    }
    const { into, timeout } = part
    if (!tables.has(into))
      yield {
        path: at('into'),
        message: `table ${into} is not declared`,
        hint: didYouMean(into, tables.keys()) ?? 'declare it in `tables`',
      }
    if (built.includes(into)) yield { path: at('into'), message: `a part before it builds ${into} already`, hint: 'one part a table' }
    if (timeout !== undefined && !parseDuration(timeout))
      yield { path: at('timeout'), message: 'is no time span', hint: 'for example 30m or 3h' }
    for (const [kind, text] of typeof part.sql === 'string' ? [[undefined, part.sql] as const] : Object.entries(part.sql)) {
      const path = at('sql', ...(kind === undefined ? [] : [kind]))
      const problem = sqlProblem(text) ?? queryProblem(text)
      if (problem) yield { path, message: problem.message, hint: problem.hint }
      for (const shadow of tablesIn(text, [...tables.keys()].map(shadowName))) {
        const of = [...tables.keys()].find((table) => shadowName(table) === shadow) ?? ''
        if (built.includes(of)) continue
        yield later.has(of)
          ? { path, message: `reads ${shadow}, which no part before it builds`, hint: `put the part that builds ${of} before it` }
          : { path, message: `reads ${shadow}, and no part builds ${of}`, hint: `read ${of}` }
      }
    }
    built.push(into)
  }
  if (built.length === 0) yield { path: ['parts'], message: 'no part builds a table', hint: 'a part with `into` and `sql`' }
  if (config.snapshot !== undefined)
    for (const { name } of textReferences(config.snapshot))
      if (!names.has(name.split('.', 1)[0] ?? ''))
        yield { path: ['snapshot'], message: `\`$${name}\` is not defined`, hint: 'such as $now' }
}

/** The tables that its parts and checks read and that it does not renew. A change of one of them has all parts built again. */
export function inputsOf({ config, tables }: Pick<CheckContext<Config>, 'config' | 'tables'>): readonly StepInput[] {
  const own = new Set(config.parts.filter(isTable).map(({ into }) => into))
  const texts = config.parts.flatMap((part) => (isTable(part) ? sqlTexts(part.sql) : []))
  return [...new Set(texts.flatMap((text) => tablesIn(text, tables.keys())))]
    .filter((table) => !own.has(table))
    .map((table) => ({ table, interval: 'whole' }))
}

/** All columns of each table, into its shadow. */
export function outputsOf({ config, tables }: CheckContext<Config>): readonly Output[] {
  return config.parts.filter(isTable).flatMap(({ into }): Output[] => {
    const table = tables.get(into)
    return table
      ? [{ id: into, table: into, columns: table.columns.map(({ name }) => name), compute: {}, constants: {}, shadow: true }]
      : []
  })
}
