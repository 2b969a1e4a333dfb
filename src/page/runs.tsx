import { useState } from 'preact/hooks'
import { sum } from '../report/rates.js'
import { type RunAnswer, type RunDetail } from './api.js'
import { useAnswer } from './answer.js'
import { Trouble } from './trouble.js'
import { Mark } from './mark.js'
import { count, duration, moment } from './words.js'

/** Runs, the newest first, each with its plan against what became of it. */
export function Runs({ pipeline, turn }: { pipeline: string; turn: string }) {
  const [open, setOpen] = useState<string>()
  const { value, error } = useAnswer<{ runs: RunAnswer[] }>(`/api/runs?limit=20&pipeline=${encodeURIComponent(pipeline)}`, turn)
  const runs = value?.runs ?? []
  if (runs.length === 0) return error ? <Trouble error={error} /> : null
  return (
    <section class="card" aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      <ul class="runs">
        {runs.map((run) => (
          <li key={run.id}>
            <button class="plain" aria-expanded={open === run.id} onClick={() => setOpen(open === run.id ? undefined : run.id)}>
              <Mark state={run.state} />
              <span>{moment(run.startedAt)}</span>
              <span class="number">{duration(run.elapsedMs)}</span>
              <span class="number">{count(sum(run.rows))} rows</span>
            </button>
            {open === run.id ? <Detail id={run.id} turn={turn} /> : null}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Detail({ id, turn }: { id: string; turn: string }) {
  const { value, error } = useAnswer<RunDetail>(`/api/runs/${encodeURIComponent(id)}`, turn)
  if (!value) return error ? <Trouble error={error} /> : <p class="dim">Reading…</p>
  const { view, warehouse, host, pid, exitCode, params, error: problem } = value
  const planned = view.steps.reduce((all, step) => all + (step.planned?.calls ?? 0), 0)
  const actual = view.endpoints.reduce((all, endpoint) => all + endpoint.calls, 0)
  const given = Object.entries(params).map(([name, param]) => `${name}=${param}`)
  return (
    <div class="detail">
      {problem === null ? null : <p class="bad">{problem}</p>}
      <div class="scroll" tabIndex={0} role="group" aria-label="Plan against actual">
        <table>
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col" class="number">
                Planned
              </th>
              <th scope="col" class="number">
                Done
              </th>
              <th scope="col" class="number">
                Failed
              </th>
              <th scope="col" class="number">
                Rows
              </th>
              <th scope="col">Ended</th>
            </tr>
          </thead>
          <tbody>
            {view.steps.map(({ id: step, planned: plan, done, failed, rows, state, word }) => (
              <tr key={step}>
                <th scope="row">{step}</th>
                <td class="number">{plan === null ? '–' : `${count(plan.pieces)} ${word ?? ''}`}</td>
                <td class="number">{count(done)}</td>
                <td class="number">{count(failed)}</td>
                <td class="number">{count(sum(rows))}</td>
                <td>{state}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">calls</th>
              <td class="number">{count(planned)}</td>
              <td class="number">{count(actual)}</td>
              <td colSpan={3} />
            </tr>
          </tbody>
        </table>
      </div>
      <p class="small dim">
        {id}, pid {pid} on {host}, into {warehouse}
        {exitCode === null ? '' : `, exit code ${exitCode}`}
        {given.length === 0 ? '' : `, with ${given.join(' ')}`}
      </p>
    </div>
  )
}
