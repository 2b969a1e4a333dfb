import { useEffect, useMemo, useState } from 'preact/hooks'
import { pipelinePath, type StepAnswer as Step, type StepView } from '../api.js'
import { useAnswer } from '../answer.js'
import { Trouble } from '../trouble.js'
import { moment } from '../words.js'
import { Group } from './group.js'
import { Legend } from './legend.js'
import { Named } from './named.js'
import { PARTS, type StepAnswer } from './scale.js'

interface Coverage {
  readonly asOf: string | null
  readonly current: boolean
  readonly params: Readonly<Record<string, string>>
  readonly steps: readonly StepAnswer[]
}

interface MapProps {
  readonly pipeline: string
  readonly steps: readonly Step[]
  readonly views: ReadonlyMap<string, StepView>
  readonly isRunning: boolean
  /** Changes when a run began or ended, or something was missed. */
  readonly turn: string
  /** Something was done by hand. */
  readonly onDone: () => void
}

/** While a run is at work, what is there is asked for as often. */
const LOOK_MS = 2_000

/** Which blocks, days or times of each step are there, proved, empty, missing, in quarantine or under way. */
export function CoverageMap({ pipeline, steps, views, isRunning, turn, onDone }: MapProps) {
  const [tick, setTick] = useState(0)
  useEffect(() => {
    if (!isRunning) return
    const timer = setInterval(() => {
      if (!document.hidden) setTick((ticks) => ticks + 1)
    }, LOOK_MS)
    return () => clearInterval(timer)
  }, [isRunning])
  const version = `${turn} ${tick}`
  const { value, error } = useAnswer<Coverage>(pipelinePath(pipeline, `/coverage?buckets=${PARTS}`), version)
  const groups = useMemo(() => groupsOf(value?.steps ?? [], steps), [value, steps])
  const named = (value?.steps ?? []).filter(({ axis, units }) => axis === null && Object.keys(units).length > 0)
  return (
    <section class="card map" aria-labelledby="coverage">
      <div class="row wrap">
        <h2 id="coverage">Coverage</h2>
        <span class="grow" />
        <span class="small dim">{value ? `${asOf(value)}${byParams(value)}` : ''}</span>
      </div>
      {error ? <Trouble error={error} /> : null}
      {groups.map(({ key, ...group }) => (
        <Group key={key} pipeline={pipeline} {...group} {...{ views, isRunning, version, turn, onDone }} />
      ))}
      {groups.length > 0 ? <Legend /> : null}
      {!value && !error ? <p class="dim">Reading…</p> : null}
      {value && groups.length + named.length === 0 ? <p class="dim">Nothing is known yet: the first run will say what is wanted.</p> : null}
      <Named pipeline={pipeline} steps={named} turn={turn} />
    </section>
  )
}

function asOf({ asOf: at, current }: Coverage): string {
  if (current) return 'as the ledger says now'
  return at === null ? 'of this run only, which has the database' : `ledger of ${moment(at)}, and what this run has done since`
}

/** What is done is done under a definition, which params are a part of. */
function byParams({ params }: Coverage): string {
  const given = Object.entries(params).map(([name, value]) => `${name}=${value}`)
  return given.length === 0 ? '' : `, for ${given.join(' ')}`
}

/** Steps whose places mean the same lie below each other, over one window. */
function groupsOf(found: readonly StepAnswer[], steps: readonly Step[]) {
  const of = new Map(steps.map((step) => [step.id, step]))
  const groups = new Map<string, StepAnswer[]>()
  for (const answer of found) {
    if (answer.axis === null) continue
    const step = of.get(answer.step)
    const key = `${answer.axis} ${answer.axis === 'time' ? '' : (step?.chain ?? step?.source ?? '')}`
    groups.set(key, [...(groups.get(key) ?? []), answer])
  }
  return [...groups].map(([key, answers]) => ({
    key,
    axis: answers[0]?.axis ?? 'numbers',
    answers,
    all: { from: Math.min(...answers.map(({ from }) => from)), to: Math.max(...answers.map(({ to }) => to)) },
  }))
}
