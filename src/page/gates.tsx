import { type CheckView, pipelinePath, type RunView, type StatusCheck } from './api.js'
import { useAnswer } from './answer.js'
import { Mark } from './mark.js'
import { moment } from './words.js'

interface GatesProps {
  readonly pipeline: string
  readonly view: RunView | null | undefined
  readonly turn: string
}

/** The checks of gates with what they gave, now and before; nothing where there is no gate. */
export function Gates({ pipeline, view, turn }: GatesProps) {
  const told = view?.checks ?? []
  const newest = Math.max(0, ...told.map(({ at }) => at))
  const { value } = useAnswer<{ gates: StatusCheck[] }>(pipelinePath(pipeline, '/gates'), `${turn} ${newest}`)
  const past = new Map((value?.gates ?? []).map((gate) => [`${gate.step} ${gate.name}`, gate.history]))
  // A run that ended before its gates says nothing of them: what they gave last does.
  const of = (check: Pick<CheckView, 'step' | 'name'>) => `${check.step} ${check.name}`
  const newer = new Set(told.map(of))
  const checks = [...told, ...(value?.gates ?? []).filter((gate) => !newer.has(of(gate)))]
  if (checks.length === 0) return null
  return (
    <section class="card" aria-labelledby="gates">
      <h2 id="gates">Gates</h2>
      <ul class="causes">
        {checks.map((check) => (
          <Check key={of(check)} check={check} past={past.get(of(check)) ?? []} isEarlier={!newer.has(of(check))} />
        ))}
      </ul>
    </section>
  )
}

interface CheckProps {
  readonly check: Omit<CheckView, 'at'>
  readonly past: StatusCheck['history']
  /** The run that is shown has not come to it: this is what an earlier one found. */
  readonly isEarlier: boolean
}

function Check({ check, past, isEarlier }: CheckProps) {
  const { step, name, passed, severity, value, expect, problem, final } = check
  const broken = severity === 'warn' ? 'warning' : 'closed'
  return (
    <li>
      <div class="row wrap">
        <Mark state={passed ? 'passed' : broken} word={passed ? 'passed' : stateWord(severity)} />
        <strong>{name}</strong> <span class="dim">of {step}</span>
        <span class="grow" />
        <History past={past} />
      </div>
      <p class="small">
        gave <strong>{value ?? 'no value'}</strong>, wanted {expect}
        {isEarlier ? ', in an earlier run' : ''}
        {final ? '' : ', evaluated while its needs run'}
        {problem === undefined || problem === null ? null : <span class="bad"> {problem}</span>}
      </p>
    </li>
  )
}

const stateWord = (severity: CheckView['severity']) => (severity === 'warn' ? 'warning' : 'not passed')

/** Its results, the newest at the right. */
function History({ past }: { past: StatusCheck['history'] }) {
  const passed = past.filter((each) => each.passed).length
  return (
    <span class="past" role="img" aria-label={`passed ${passed} of the last ${past.length} times`}>
      {[...past].reverse().map((each) => (
        <span
          key={`${each.run} ${each.at}`}
          class={each.passed ? 'passed' : 'not'}
          title={`${moment(each.at)}: ${each.value ?? 'no value'}${each.passed ? '' : ', not passed'}`}
        />
      ))}
    </span>
  )
}
