import { type HttpRequest, type Json, referenceName, type Scope, substituteText } from '../../src/sdk/authors.js'
import type { PageName } from './check.js'
import type { Config } from './config.js'

type PageValues = Readonly<Partial<Record<PageName, string | number | undefined>>>

/** Makes the request of a page from what `$` stands for on it. Names that have no value yet are left out of the query. */
export function compileRequest({ request, page_size: size }: Config): (values: PageValues) => HttpRequest {
  const query = Object.entries(request.query ?? {}).map(([name, value]) => {
    const reference = referenceName(value as Json)
    return { name, value, reference: reference as PageName | undefined }
  })
  return (given) => {
    const values: PageValues = { ...given, size }
    const scope: Scope = new Map(
      Object.entries(values).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, { type: { kind: 'text' as const }, value: String(value) }] as const],
      ),
    )
    return {
      path: substituteText(request.path, scope, encodeURIComponent),
      query: Object.fromEntries(query.map(({ name, value, reference }) => [name, reference === undefined ? value : values[reference]])),
    }
  }
}

/** What of the request says a place, in the words of the API: the name of the parameter; `the path` where it is part of that. */
export function parameterOf({ request }: Pick<Config, 'request'>, page: PageName): string {
  const found = Object.entries(request.query ?? {}).find(([, value]) => referenceName(value as Json) === page)
  return found ? `\`${found[0]}\`` : 'the path'
}

/** Rows of a full page, where the file says so: `page_size`, else the number that the request calls its limit. */
export function declaredLimit({ page_size: size, request }: Config): number | undefined {
  if (size !== undefined) return size
  const limit = Object.entries(request.query ?? {}).find(([name]) => /^(limit|per_page|page_?size|size|count)$/i.test(name))?.[1]
  return typeof limit === 'number' && limit > 0 ? limit : undefined
}
