import { useState } from 'preact/hooks'
import { ApiError, type ParamAnswer, pipelinePath, type PipelineDetail, type PlanReport, type RunView, send } from './api.js'
import { Trouble } from './trouble.js'
import { Plan } from './plan.js'

interface StartProps {
  readonly detail: PipelineDetail
  /** The last run. */
  readonly last: RunView | null
  /** Whether it ended before it was done: then the rest of what it was asked for is offered, its steps and limit included. */
  readonly goesOn: boolean
  readonly onStarted: () => void
}

/** What a run can be asked for, as the last one was; sees what it would do and cost before it is. */
export function Start({ detail, last, goesOn, onStarted }: StartProps) {
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
  const select = goesOn ? (last?.select ?? null) : null
  return (
    <form class="start" onSubmit={enter} onChange={() => setPlan(undefined)} aria-label={`Start ${detail.name}`}>
      {detail.params.length === 0 ? null : (
        <div class="inputs">
          {detail.params.map((param) => (
            <Param key={param.name} {...param} last={last?.params[param.name]} />
          ))}
        </div>
      )}
      <fieldset>
        <legend>Steps</legend>
        {detail.graph.map(({ id }) => (
          <label key={id} class="check">
            <input type="checkbox" name="step" value={id} defaultChecked={select === null || isSelected(select, id)} /> {id}
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
            defaultValue={goesOn ? (last?.limit ?? '') : ''}
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
      {Object.keys(last?.params ?? {}).length === 0 ? null : (
        <p class="small dim">Filled in as the last run had it; an empty field takes the default.</p>
      )}
      {error ? <Trouble error={error} /> : null}
      {plan ? <Plan plan={plan} /> : null}
    </form>
  )
}

/** A step of a matrix is selected by its own id or by that of all. */
const isSelected = (select: readonly string[], id: string): boolean => select.includes(id) || select.includes(id.replace(/\[.*\]$/, ''))

function Param({ name, type, default: value, oneOf, description, last = '' }: ParamAnswer & { readonly last: string | undefined }) {
  const initial = value === null ? '' : String(value)
  const options = type === 'bool' ? ['true', 'false'] : oneOf?.map(String)
  return (
    <label>
      <span>
        {name} <span class="dim small">{type}</span>
      </span>
      {options ? (
        <select name={`param ${name}`} required={value === null}>
          <option value="">{initial === '' ? 'choose' : `${initial} (default)`}</option>
          {options.map((option) => (
            <option key={option} selected={last === option}>
              {option}
            </option>
          ))}
        </select>
      ) : (
        <input
          name={`param ${name}`}
          placeholder={initial}
          defaultValue={last}
          required={value === null}
          autocomplete="off"
          spellcheck={false}
        />
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
