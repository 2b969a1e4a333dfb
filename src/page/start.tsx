import { useState } from 'preact/hooks'
import { ApiError, type ParamAnswer, pipelinePath, type PipelineDetail, type PlanReport, send } from './api.js'
import { Trouble } from './app.js'
import { Plan } from './plan.js'

/** What a run can be asked for; sees what it would do and cost before it is. */
export function Start({ detail, onStarted }: { detail: PipelineDetail; onStarted: () => void }) {
  const [busy, setBusy] = useState<'plan' | 'start'>()
  const [plan, setPlan] = useState<PlanReport>()
  const [error, setError] = useState<ApiError>()
  const ask = async (what: 'plan' | 'start', form: HTMLFormElement) => {
    setBusy(what)
    setError(undefined)
    try {
      const { flags, ...part } = requestOf(new FormData(form), detail)
      if (what === 'plan') setPlan(await send<PlanReport>(pipelinePath(detail.name, '/plan'), part))
      else {
        await send(pipelinePath(detail.name, '/start'), { ...part, ...flags })
        onStarted()
      }
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    } finally {
      setBusy(undefined)
    }
  }
  const enter = (event: SubmitEvent) => {
    event.preventDefault()
    const what = (event.submitter as HTMLButtonElement | null)?.value === 'plan' ? 'plan' : 'start'
    void ask(what, event.target as HTMLFormElement)
  }
  return (
    <form class="start" onSubmit={enter} onChange={() => setPlan(undefined)} aria-label={`Start ${detail.name}`}>
      {detail.params.length === 0 ? null : (
        <div class="inputs">
          {detail.params.map((param) => (
            <Param key={param.name} {...param} />
          ))}
        </div>
      )}
      <fieldset>
        <legend>Steps</legend>
        {detail.graph.map(({ id }) => (
          <label key={id} class="check">
            <input type="checkbox" name="step" value={id} defaultChecked /> {id}
          </label>
        ))}
      </fieldset>
      <div class="row wrap">
        <label class="check">
          At most{' '}
          <input
            type="number"
            name="limit"
            min="1"
            step="1"
            placeholder="all"
            aria-label="At most so many rows, blocks, days or pages a step"
          />{' '}
          a step
        </label>
        <label class="check">
          <input type="checkbox" name="untilComplete" /> until nothing is missing
        </label>
        <label class="check">
          <input type="checkbox" name="follow" /> follow what is new
        </label>
        <label class="check">
          <input type="checkbox" name="fresh" /> again, also what is done
        </label>
      </div>
      <div class="row">
        <button value="plan" disabled={busy !== undefined}>
          {busy === 'plan' ? 'Planning…' : 'Plan and cost'}
        </button>
        <button class="first" value="start" disabled={busy !== undefined}>
          {busy === 'start' ? 'Starting…' : 'Start the run'}
        </button>
      </div>
      {error ? <Trouble error={error} /> : null}
      {plan ? <Plan plan={plan} /> : null}
    </form>
  )
}

function Param({ name, type, default: value, description }: ParamAnswer) {
  const initial = value === null ? '' : String(value)
  return (
    <label>
      <span>
        {name} <span class="dim small">{type}</span>
      </span>
      {type === 'bool' ? (
        <select name={`param ${name}`}>
          <option value="">{initial === '' ? 'choose' : `${initial} (default)`}</option>
          <option>true</option>
          <option>false</option>
        </select>
      ) : (
        <input name={`param ${name}`} placeholder={initial} required={value === null} autocomplete="off" spellcheck={false} />
      )}
      {description === null ? null : <span class="dim small">{description}</span>}
    </label>
  )
}

/** What the form says, without what is as the file has it. */
function requestOf(form: FormData, { params, graph }: PipelineDetail) {
  const text = (name: string) => String(form.get(name) ?? '').trim()
  const given = params.map(({ name }) => [name, text(`param ${name}`)] as const).filter(([, value]) => value !== '')
  const select = form.getAll('step').map(String)
  const limit = text('limit')
  return {
    params: Object.fromEntries(given),
    select: select.length === graph.length ? [] : select,
    limit: limit === '' ? undefined : Number(limit),
    flags: { untilComplete: form.has('untilComplete'), follow: form.has('follow'), fresh: form.has('fresh') },
  }
}
