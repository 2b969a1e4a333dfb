import type { PlanReport } from './api.js'
import { bytes, count, counted, duration } from './words.js'

type StepForecast = PlanReport['steps'][number]

/** What a run would do now, and what it would cost. */
export function Plan({ plan: { steps, work, heads } }: { plan: PlanReport }) {
  const known = (pick: (step: StepForecast) => number | null) => steps.reduce((sum, step) => sum + (pick(step) ?? 0), 0)
  const seconds = known(({ estimate }) => estimate.seconds)
  const cost = [
    counted(
      known(({ calls }) => calls),
      'calls',
    ),
    counted(
      known(({ requests }) => requests),
      'requests',
    ),
    `about ${duration(seconds * 1_000)}`,
    bytes(known(({ estimate }) => estimate.diskBytes)),
  ]
  const chains = Object.entries(heads).map(([chain, head]) => `${chain} is at ${count(Number(head))}`)
  return (
    <section class="plan" aria-label="Plan">
      <p role="status">
        <strong>{work ? `Would take ${cost.join(', ')}.` : 'Nothing to do: all of it is there.'}</strong>{' '}
        <span class="dim">{chains.join(', ')}</span>
      </p>
      <div class="scroll" tabIndex={0} role="group" aria-label="Plan of each step">
        <table>
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col" class="number">
                To do
              </th>
              <th scope="col">Why</th>
              <th scope="col" class="number">
                Calls
              </th>
              <th scope="col" class="number">
                Requests
              </th>
              <th scope="col" class="number">
                Time
              </th>
              <th scope="col" class="number">
                Disk
              </th>
            </tr>
          </thead>
          <tbody>
            {steps.map((step) => (
              <Row key={step.id} {...step} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function Row(step: StepForecast) {
  const { id, pieces, piece, calls, requests, estimate, quarantined } = step
  return (
    <tr>
      <th scope="row">{id}</th>
      <td class="number">{pieces === 0 ? '–' : counted(pieces, piece)}</td>
      <td>
        {why(step)}
        {quarantined.length === 0 ? null : (
          <span class="bad block small">{count(quarantined.length)} in quarantine are left out: retry lets them in</span>
        )}
      </td>
      <td class="number">{calls === null ? 'unknown' : count(calls)}</td>
      <td class="number">{requests === null ? 'unknown' : count(requests)}</td>
      <td class="number" title={estimate.basis === 'history' ? 'as fast as the runs before' : 'a guess: it has not run before'}>
        {estimate.seconds === null ? 'unknown' : duration(estimate.seconds * 1_000)}
      </td>
      <td class="number">{bytes(estimate.diskBytes)}</td>
    </tr>
  )
}

function why({ reasons, done, piece, unknown, later, leftOut, upTo }: StepForecast): string {
  const parts = Object.entries(reasons).map(([reason, pieces]) => `${count(pieces)} ${reason}`)
  if (unknown !== null) parts.push(unknown)
  for (const { step, pieces, piece: word } of upTo) parts.push(`up to ${counted(pieces, word)} that ${step} may bring`)
  if (leftOut > 0) parts.push(`${count(leftOut)} left out by the limit`)
  if (done > 0) parts.push(`${counted(done, piece)} done`)
  if (later !== null) parts.push(later)
  return parts.join('; ')
}
