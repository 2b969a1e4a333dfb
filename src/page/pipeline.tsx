import { useMemo, useRef, useState } from 'preact/hooks'
import { elapsedOf, etaOf, sum } from '../report/rates.js'
import { type Course, goneOn, NO_COURSE } from '../serve/course.js'
import { type CheckView, type PipelineDetail, pipelinePath, type RunView, type StepView } from './api.js'
import { useAnswer, useNow } from './answer.js'
import { Trouble } from './trouble.js'
import { Bar } from './bar.js'
import { Actions } from './actions.js'
import { Endpoints } from './endpoints.js'
import { Errors } from './errors.js'
import { Gates } from './gates.js'
import { Graph } from './graph.js'
import { type Live, useLive } from './live.js'
import { Log } from './log.js'
import { CoverageMap } from './map/map.js'
import { Mark, toneOf } from './mark.js'
import { Runs } from './runs.js'
import { Schedule } from './schedule.js'
import { joined, requestSpeeds } from './speed.js'
import { Steps } from './steps.js'
import { Throughput } from './throughput.js'
import { count, duration, isShort, percent, progressInWords } from './words.js'

/** One pipeline: how it stands, what it does, what is there, and what can be done with it. */
export function PipelinePage({ name }: { name: string }) {
  const live = useLive(name)
  const { view, link, epoch, ahead } = live
  // What only a change of these can have changed is read again then.
  const [asked, setAsked] = useState(0)
  const turn = `${view?.run} ${view?.state} ${view?.outcome} ${epoch} ${link === 'lost'} ${asked}`
  const { value: detail, error } = useAnswer<PipelineDetail>(pipelinePath(name), turn)
  const isRunning = view != null && view.state !== 'ended'
  const moving = useNow(isRunning, ahead)
  // What is not heard of any more stands as it was heard last.
  const heard = useRef(moving)
  if (link !== 'lost') heard.current = moving
  const now = heard.current
  const views = useMemo(() => new Map((view?.steps ?? []).map((step) => [step.id, withChecks(step, view?.checks ?? [])])), [view])
  const { value: before } = useAnswer<Course>(pipelinePath(name, '/throughput'), `${view?.run} ${link === 'lost'}`)
  const since = useRef<Course>(NO_COURSE)
  if (view) since.current = goneOn(since.current, view)
  const course = joined(before, since.current)
  const onDone = () => setAsked((times) => times + 1)
  if (!detail) return error ? <Trouble error={error} /> : <p class="dim">Reading…</p>
  return (
    <>
      <Head detail={detail} live={live} now={now} onDone={onDone} />
      <Errors pipeline={name} view={view} turn={turn} now={now} />
      <section class="card" aria-labelledby="steps">
        <h2 id="steps">Steps</h2>
        <Graph steps={detail.graph} views={views} />
        <Steps pipeline={name} steps={detail.graph} views={views} now={now} isRunning={isRunning} />
      </section>
      <CoverageMap pipeline={name} steps={detail.graph} {...{ views, isRunning, turn, onDone }} />
      <div class="two">
        <Throughput course={course} />
        {view ? <Endpoints view={view} speeds={isRunning ? requestSpeeds(course) : new Map()} now={now} /> : null}
        <Gates pipeline={name} view={view} turn={turn} />
        <Runs pipeline={name} turn={turn} />
      </div>
      <Log facts={live.facts} />
    </>
  )
}

interface HeadProps {
  readonly detail: PipelineDetail
  readonly live: Live
  readonly now: number
  readonly onDone: () => void
}

function Head({ detail, live: { view, link }, now, onDone }: HeadProps) {
  const state = stateNow(detail, view)
  const quarantined = (view?.steps ?? []).reduce((all, step) => all + step.quarantined, 0)
  return (
    <section class={`card edge ${toneOf(state)} head`} aria-labelledby="name">
      <div class="row wrap">
        <h1 id="name">{detail.name}</h1>
        <span role="status">
          <Mark state={state} />
        </span>
        <Connection link={link} />
      </div>
      {detail.description === null ? null : <p class="dim">{detail.description}</p>}
      {view ? <Summary view={view} state={state} now={now} /> : <p>It has not run yet.</p>}
      {detail.schedule === null ? null : <Schedule schedule={detail.schedule} now={now} />}
      {detail.run?.error == null || view?.state !== 'ended' ? null : <p class="bad">{detail.run.error}</p>}
      <Actions detail={detail} view={view} state={state} quarantined={quarantined} onDone={onDone} />
    </section>
  )
}

/** A gate is as far as its checks are evaluated. */
function withChecks(step: StepView, checks: readonly CheckView[]): StepView {
  if (step.word !== 'checks') return step
  const own = checks.filter((check) => check.step === step.id)
  return { ...step, done: own.filter(({ final }) => final).length, total: step.total === null ? null : Math.max(step.total, own.length) }
}

/** The stream knows first; what a view can't say (that a process is gone without a word) the answer does. */
function stateNow(detail: PipelineDetail, view: RunView | null | undefined): string {
  if (!view || view.run !== detail.run?.id) return view ? view.state : detail.state
  if (view.state !== 'ended') return view.state
  return view.outcome ?? detail.state
}

function Summary({ view, state, now }: { view: RunView; state: string; now: number }) {
  const counted = view.steps.filter(({ word }) => word !== 'checks')
  const of = (pick: (step: StepView) => number) => counted.reduce((all, step) => all + pick(step), 0)
  const done = of((step) => step.done)
  const isPlanned = counted.some(({ total }) => total !== null)
  const total = isPlanned ? of((step) => step.total ?? 0) : null
  const short = isShort(
    state,
    of((step) => step.quarantined),
  )
  const etas = view.steps.flatMap((step) => etaOf(step, now) ?? [])
  const elapsed = elapsedOf(view, now)
  const figures: [string, string][] = [
    ['Done', doneInWords(done, total, short)],
    ['Rows', count(of((step) => sum(step.rows)))],
    ['Elapsed', elapsed === null ? '' : duration(elapsed)],
    ['ETA', etas.length === 0 ? '–' : duration(Math.max(...etas))],
    ['Retries', count(of((step) => sum(step.retries)) + view.endpoints.reduce((all, { retries }) => all + sum(retries), 0))],
    ['Quarantine', count(of((step) => step.quarantined))],
  ]
  return (
    <>
      <div class="row">
        <Bar done={done} total={total} isShort={short} tone={toneOf(state)} label="Progress of the run" />
        <strong class="number">{total === null ? '' : `${percent(done, total, short)} %`}</strong>
      </div>
      <dl class="figures">
        {figures.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {view.waiting === null || view.state === 'ended' || state === 'paused' ? null : (
        <p class="warn">
          Nothing has moved for {duration(view.waiting.ms)}: it waits for {view.waiting.for}
        </p>
      )}
    </>
  )
}

function doneInWords(done: number, total: number | null, short: boolean): string {
  if (total === null) return 'not planned yet'
  return total === 0 ? progressInWords(0, 0, short) : `${count(done)} of ${count(total)}`
}

const LINKS: Readonly<Record<Live['link'], string>> = {
  connecting: 'connecting…',
  live: 'live',
  lost: 'connection lost, trying again…',
  token: 'the server wants its token',
}

/** Whether what is shown is of now. */
function Connection({ link }: { link: Live['link'] }) {
  return (
    <span class={`link ${link}`} role="status">
      {LINKS[link]}
    </span>
  )
}
