import { useEffect, useState } from 'preact/hooks'

/** The pipeline whose page is asked for; null: the list of all. */
export type Route = string | null

/** Where the page of a pipeline lies. */
export const pathOf = (route: Route): string => (route === null ? '/' : `/pipelines/${encodeURIComponent(route)}`)

export function routeOf(path: string): Route {
  // The address that the old admin page had.
  if (path === '/admin/enrichment') return 'enrichment'
  const [, name] = /^\/pipelines\/([^/]+)$/.exec(path) ?? []
  return name === undefined ? null : decoded(name)
}

export function go(route: Route): void {
  history.pushState(null, '', pathOf(route))
  dispatchEvent(new PopStateEvent('popstate'))
  scrollTo(0, 0)
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.pathname))
  useEffect(() => {
    const moved = () => setRoute(routeOf(location.pathname))
    addEventListener('popstate', moved)
    return () => removeEventListener('popstate', moved)
  }, [])
  return route
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
