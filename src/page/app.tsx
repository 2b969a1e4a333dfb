import { useEffect, useState } from 'preact/hooks'
import type { PipelineAnswer } from './api.js'
import { useAnswer } from './answer.js'
import { Link } from './link.js'
import { Login } from './login.js'
import { Mark } from './mark.js'
import { PipelinePage } from './pipeline.js'
import { PipelineList } from './pipelines.js'
import { type Route, useRoute } from './route.js'
import { Trouble } from './trouble.js'

/** How often the list of pipelines is asked for, while somebody sees it, and where it is beside the page of one. */
const LOOK_MS = 2_000
const BESIDE_MS = 10_000

export function App() {
  const route = useRoute()
  const [tick, setTick] = useState(0)
  const list = useAnswer<{ pipelines: PipelineAnswer[] }>('/api/pipelines', tick)
  const isShut = list.error?.status === 401 || list.error?.status === 429
  useEffect(() => {
    const look = () => {
      if (!document.hidden) setTick((ticks) => ticks + 1)
    }
    // Who has no token asks no more until he gives one: the server counts.
    if (isShut) return
    const timer = setInterval(look, route === null ? LOOK_MS : BESIDE_MS)
    document.addEventListener('visibilitychange', look)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [route, isShut])
  useEffect(() => {
    document.title = route === null ? 'pipe' : `${route} · pipe`
  }, [route])
  if (isShut) return <Login problem={list.error?.status === 429 ? list.error : undefined} onIn={list.again} />
  const pipelines = list.value?.pipelines
  return (
    <div class="shell">
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="top">
        <Link to={null}>
          <span class="brand">pipe</span>
        </Link>
        {route === null ? null : (
          <nav aria-label="You are here">
            <Link to={null}>Pipelines</Link> <span aria-hidden="true">/</span> <span aria-current="page">{route}</span>
          </nav>
        )}
        <span class="grow" />
        <a href="/api/openapi.json">API</a>
      </header>
      <div class="columns">
        {route !== null && pipelines && pipelines.length > 1 ? <Side pipelines={pipelines} route={route} /> : null}
        <main id="main" tabIndex={-1}>
          {list.error ? <Trouble error={list.error} /> : null}
          {route === null ? <PipelineList pipelines={pipelines} /> : <One name={route} isKnown={pipelines !== undefined} />}
        </main>
      </div>
    </div>
  )
}

/** The page of a pipeline asks for much: not before it is known that the server answers. */
function One({ name, isKnown }: { name: string; isKnown: boolean }) {
  return isKnown ? <PipelinePage key={name} name={name} /> : null
}

function Side({ pipelines, route }: { pipelines: readonly PipelineAnswer[]; route: Route }) {
  return (
    <nav class="side" aria-label="Pipelines">
      <ul>
        {pipelines.map(({ name, state }) => (
          <li key={name}>
            <Link to={name} isCurrent={name === route}>
              <Mark state={state} isQuiet /> {name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}
