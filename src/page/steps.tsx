import { elapsedOf, etaOf, rateOf, sum } from '../report/rates.js'
import type { StepAnswer, StepView } from './api.js'
import { Bar } from './bar.js'
import { rowId } from './graph.js'
import { Mark, toneOf } from './mark.js'
import { Parallel, type ParallelView } from './parallel.js'
import { count, duration, isShort, progressInWords, rate } from './words.js'

interface StepsProps {
  readonly pipeline: string
  readonly isRunning: boolean
  readonly steps: readonly StepAnswer[]
  readonly views: ReadonlyMap<string, StepView>
  readonly now: number
}

/** How far each step is, how fast, and how long it will take. */
export function Steps({ pipeline, steps, views, now, isRunning }: StepsProps) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Table of the steps">
      <table class="steps">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">State</th>
            <th scope="col" class="wide">
              Progress
            </th>
            <th scope="col" class="number">
              Rate
            </th>
            <th scope="col" class="number">
              ETA
            </th>
            <th scope="col" class="number">
              Took
            </th>
            <th scope="col" class="number">
              Rows
            </th>
            <th scope="col" class="number">
              Retries
            </th>
          </tr>
        </thead>
        <tbody>
          {steps.map((step) => (
            <Row key={step.id} {...{ pipeline, step, now, isRunning }} view={views.get(step.id)} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface RowProps {
  readonly pipeline: string
  readonly step: StepAnswer
  readonly view: (StepView & { readonly parallel?: ParallelView | null }) | undefined
  readonly now: number
  readonly isRunning: boolean
}

function Row({ pipeline, step, view, now, isRunning }: RowProps) {
  const state = view?.state ?? 'waiting'
  const speed = view && rateOf(view, now)
  const eta = view && etaOf(view, now)
  const elapsed = view && elapsedOf(view, now)
  const retries = view ? sum(view.retries) : 0
  const broken = (view?.failed ?? 0) > 0 ? `, ${count(view?.failed ?? 0)} failed` : ''
  return (
    <tr id={rowId(step.id)} tabIndex={-1}>
      <th scope="row">
        {step.title}
        <span class="small dim block">{about(step)}</span>
        {isRunning && view?.parallel ? <Parallel pipeline={pipeline} step={step.id} parallel={view.parallel} /> : null}
      </th>
      <td>
        <Mark state={state} />
        {view?.reason == null ? null : <span class="small dim block reason">{view.reason}</span>}
      </td>
      <td class="wide">
        <Bar
          done={view?.done ?? 0}
          total={view?.total ?? null}
          isShort={isShort(state, view?.quarantined ?? 0)}
          tone={toneOf(state)}
          label={`Progress of ${step.id}`}
        />
        <span class="small dim block">
          {view?.total == null ? 'not planned' : `${progress(view, view.total)}${broken}`}
          <span class="narrow">
            {speed == null || view?.done === 0 ? '' : `, ${rate(speed)}`}
            {eta == null ? '' : `, ETA ${duration(eta)}`}
          </span>
        </span>
      </td>
      <td class="number">{speed == null || view?.done === 0 ? '' : rate(speed)}</td>
      <td class="number">{eta == null ? '' : duration(eta)}</td>
      <td class="number">{elapsed == null ? '' : duration(elapsed)}</td>
      <td class="number">{view ? count(sum(view.rows)) : ''}</td>
      <td class="number">{retries === 0 ? '' : count(retries)}</td>
    </tr>
  )
}

function about({ id, title, type, chain, source, tables }: StepAnswer): string {
  const from = chain ?? source
  return [
    ...(title === id ? [] : [`${id}:`]),
    type,
    ...(from === null ? [] : [`of ${from}`]),
    ...(tables.length === 0 ? [] : [`into ${tables.join(', ')}`]),
  ].join(' ')
}

function progress({ state, done, before, word, quarantined }: StepView, total: number): string {
  const parts = [progressInWords(done, total, isShort(state, quarantined), word ?? '')]
  if (before > 0) parts.push(`${count(before)} before`)
  if (quarantined > 0) parts.push(`${count(quarantined)} in quarantine`)
  return parts.join(', ')
}
