import type { PipelineAnswer } from './api.js'
import { Link } from './link.js'
import { Bar } from './bar.js'
import { Mark, toneOf } from './mark.js'
import { Schedule } from './schedule.js'
import { ago, count, duration, isShort, progressInWords } from './words.js'

/** All pipelines, each at a glance. */
export function PipelineList({ pipelines }: { pipelines: readonly PipelineAnswer[] | undefined }) {
  if (!pipelines) return <p class="dim">Reading…</p>
  return (
    <section aria-labelledby="pipelines">
      <div class="row wrap">
        <h1 id="pipelines">Pipelines</h1>
        <span class="dim">{statesInWords(pipelines)}</span>
      </div>
      <ul class="cards">
        {pipelines.map((pipeline) => (
          <Card key={pipeline.name} {...pipeline} />
        ))}
      </ul>
    </section>
  )
}

function Card({ name, description, file, state, run, steps, progress: { done, total, quarantined }, schedule }: PipelineAnswer) {
  const short = isShort(state, quarantined)
  return (
    <li class={`card edge ${toneOf(state)}`}>
      <div class="row">
        <h2>
          <Link to={name}>{name}</Link>
        </h2>
        <span class="grow" />
        <Mark state={state} />
      </div>
      <p class="dim">{description ?? file}</p>
      {run === null ? null : (
        <>
          <Bar done={done} total={total} isShort={short} tone={toneOf(state)} label={`Progress of ${name}`} />
          <p class="row figures">
            <span>{total === null ? 'not planned yet' : progressInWords(done, total, short)}</span>
            <span class="grow" />
            <span class="dim">
              {run.endedAt === null
                ? `for ${duration(run.elapsedMs)}`
                : `${duration(run.elapsedMs)}, ${ago(Date.now() - Date.parse(run.endedAt))}`}
            </span>
          </p>
          <p class="row figures">
            <span class="dim">{stepsInWords(steps)}</span>
            {quarantined > 0 ? <span class="bad">{count(quarantined)} in quarantine</span> : null}
          </p>
        </>
      )}
      {schedule === null ? null : <Schedule schedule={schedule} now={Date.now()} />}
    </li>
  )
}

/** `1 running, 3 done`. */
function statesInWords(pipelines: readonly PipelineAnswer[]): string {
  const numbers = new Map<string, number>()
  for (const { state } of pipelines) numbers.set(state, (numbers.get(state) ?? 0) + 1)
  return [...numbers].map(([state, number]) => `${number} ${state === 'never' ? 'never run' : state}`).join(', ')
}

function stepsInWords(steps: Readonly<Record<string, number>>): string {
  const words = Object.entries(steps).map(([state, number]) => `${number} ${state}`)
  return words.length === 0 ? '' : `steps: ${words.join(', ')}`
}
