import { type Broken, pipelinePath, type RunView } from './api.js'
import { useAnswer } from './answer.js'
import { type Cause, causesOf } from './causes.js'
import { Mark } from './mark.js'
import { ago, count, counted } from './words.js'

interface ErrorsProps {
  readonly pipeline: string
  readonly view: RunView | null | undefined
  readonly turn: string
  readonly now: number
}

const WORDS: Readonly<Record<Cause['state'], [string, string]>> = {
  quarantined: ['failed', 'in quarantine'],
  failed: ['incomplete', 'failed'],
  retrying: ['stopping', 'tried again'],
}

/** What failed, grouped by cause, with what to do; nothing where nothing did. */
export function Errors({ pipeline, view, turn, now }: ErrorsProps) {
  const failed = (view?.steps ?? []).reduce((sum, step) => sum + step.failed, 0)
  const { value } = useAnswer<{ count: number; first: Broken[] }>(pipelinePath(pipeline, '/quarantine'), `${turn} ${failed}`)
  const causes = causesOf(value?.first ?? [], view)
  const warnings = view?.warnings ?? []
  const more = (value?.count ?? 0) - (value?.first.length ?? 0)
  if (causes.length === 0 && warnings.length === 0) return null
  return (
    <section class="card" aria-labelledby="errors">
      <h2 id="errors">Errors by cause</h2>
      <ul class="causes">
        {causes.map((cause) => (
          <li key={`${cause.step} ${cause.message}`}>
            <One cause={cause} now={now} />
          </li>
        ))}
        {warnings.map(({ step, message, count: times }) => (
          <li key={`${step} ${message}`}>
            <Mark state="warning" /> {step === null ? '' : <strong>{step} </strong>}
            {message} {times > 1 ? <span class="dim">({count(times)} times)</span> : null}
          </li>
        ))}
      </ul>
      {more > 0 ? <p class="dim">and {count(more)} more, which are not looked at here</p> : null}
    </section>
  )
}

function One({ cause: { step, message, code, hint, stack, state, where, at, count: places }, now }: { cause: Cause; now: number }) {
  const [mark, word] = WORDS[state]
  return (
    <>
      <div class="row wrap">
        <Mark state={mark} word={`${count(places)} ${word}`} />
        <strong>{step}</strong>
        {code === null ? null : <code>{code}</code>}
        <span class="grow" />
        <span class="dim small">{ago(now - at)}</span>
      </div>
      <p class="message">{message}</p>
      {hint === null ? null : <p class="hint">What to do: {hint}</p>}
      <details>
        <summary class="small">
          {counted(where.length, 'places')}
          {stack === null ? '' : ' and the stack'}
        </summary>
        <p class="small where">
          {where.join(', ')}
          {places > where.length ? ` and ${count(places - where.length)} more` : ''}
        </p>
        {stack === null ? null : <pre>{stack}</pre>}
      </details>
    </>
  )
}
