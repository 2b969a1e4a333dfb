import { type HttpRequest, type Json, referenceName, type Scope, substituteText } from '../../src/sdk/authors.js'
import { namesIn, type PageName } from './check.js'
import type { Config } from './config.js'

type PageValues = Readonly<Partial<Record<PageName, string | number | undefined>>>

/**
 * Makes the request of a page from what `$` stands for on it. Names that have no value yet are left out of the query. A `size`
 * stands for the one that the file says.
 */
export function compileRequest(config: Config): (values: PageValues) => HttpRequest {
  const { request, page_size: size } = config
  const limit = limitOf(config)?.name
  const query = Object.entries(request.query ?? {}).map(([name, value]) => {
    const reference = referenceName(value as Json)
    return { name, value, reference: reference as PageName | undefined }
  })
  return (given) => {
    const values: PageValues = { ...given, size: given.size ?? size }
    const scope: Scope = new Map(
      Object.entries(values).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, { type: { kind: 'text' as const }, value: String(value) }] as const],
      ),
    )
    const own = (name: string, value: string | number | boolean) => (name === limit ? (given.size ?? value) : value)
    return {
      path: substituteText(request.path, scope, encodeURIComponent),
      query: Object.fromEntries(
        query.map(({ name, value, reference }) => [name, reference === undefined ? own(name, value) : values[reference]]),
      ),
    }
  }
}

/** What of the request says a place, in the words of the API: the name of the parameter; `the path` where it is part of that. */
export function parameterOf({ request }: Pick<Config, 'request'>, page: PageName): string {
  const found = Object.entries(request.query ?? {}).find(([, value]) => referenceName(value as Json) === page)
  return found ? `\`${found[0]}\`` : 'the path'
}

/** Names under which requests say how many rows a page may have. */
const LIMIT =
  /^(page_?)?(limit|size|count|rows|take)$|^(per|(items|rows|records|results)_?per)_?page$|^(max|num|page)_?(results|items|records|rows|count|limit)$/i

/** What of the step says how many rows are asked for a page: its name and the number. Undefined: nothing does. */
export function limitOf({ page_size: size, request, cursor }: Config): { readonly name: string; readonly rows: number } | undefined {
  if (size !== undefined && namesIn(request).has('size')) return { name: 'page_size', rows: size }
  // Beside a number of the page, some call the rows of one `offset`.
  const isLimit = (name: string) => LIMIT.test(name) || (cursor.page !== undefined && name === 'offset')
  const found = Object.entries(request.query ?? {}).find(([name, value]) => isLimit(name) && /^[1-9]\d*$/.test(String(value)))
  return found && { name: found[0], rows: Number(found[1]) }
}

/** Rows of a full page, where the file says so: `page_size`, else the number that the request calls its limit. */
export function declaredLimit(config: Config): number | undefined {
  return config.page_size ?? limitOf(config)?.rows
}

/** Whether the file says how many rows a page has beside what it asks for. */
export function isSure({ page_size: size, request }: Config): boolean {
  return size !== undefined && !namesIn(request).has('size')
}
