import type { RunEvent } from '../sdk/events.js'
import { moment } from './words.js'

/** What happened, the newest first. */
export function Log({ facts }: { facts: readonly RunEvent[] }) {
  if (facts.length === 0) return null
  return (
    <section class="card" aria-labelledby="log">
      <h2 id="log">Log</h2>
      <ol class="log scroll" tabIndex={0} aria-label="What happened, the newest first">
        {[...facts].reverse().map((fact, i) => (
          <li key={facts.length - i}>
            <time>{moment(fact.at).slice(11)}</time> <strong>{fact.type}</strong> {rest(fact)}
          </li>
        ))}
      </ol>
    </section>
  )
}

/** Its fields, as they are. */
function rest(fact: RunEvent): string {
  const { run: _run, at: _at, type: _type, ...fields } = fact
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
}
