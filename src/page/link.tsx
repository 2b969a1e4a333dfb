import type { ComponentChildren } from 'preact'
import { go, pathOf, type Route } from './route.js'

/** A link to a page of this one, which it opens without asking the server. */
export function Link({ to, isCurrent = false, children }: { to: Route; isCurrent?: boolean; children: ComponentChildren }) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
    event.preventDefault()
    go(to)
  }
  return (
    <a href={pathOf(to)} onClick={follow} aria-current={isCurrent ? 'page' : undefined}>
      {children}
    </a>
  )
}
