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
