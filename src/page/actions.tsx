import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, type PipelineDetail, pipelinePath, type RunView, send } from './api.js'
import { Trouble } from './trouble.js'
import { Start } from './start.js'

interface ActionsProps {
  readonly detail: PipelineDetail
  readonly view: RunView | null | undefined
  readonly state: string
  readonly quarantined: number
  /** Something was done: what is shown besides the stream is to be read again. */
  readonly onDone: () => void
}

/** A run lives. */
export const AT_WORK: ReadonlySet<string> = new Set(['starting', 'running', 'pausing', 'paused', 'stopping'])

type Act = 'stop' | 'pause' | 'resume' | 'retry'

const SAID: Readonly<Record<Act, string>> = {
  stop: 'Stopping: what is under way is committed, the rest is left to the next run.',
  pause: 'Pausing: units under way are finished, then nothing is asked until it is resumed.',
  resume: 'It goes on.',
  retry: '',
}

/** While a run is at work, and while none is. */
const phaseOf = (state: string): string => (AT_WORK.has(state) ? 'at work' : 'idle')

/** Start, stop, pause, and let what is in quarantine be tried again. */
export function Actions({ detail, view, state, quarantined, onDone }: ActionsProps) {
  const [isOpen, setOpen] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [said, setSaid] = useState<readonly string[]>([])
  // What was said of a state is over with it.
  const [saidOf, setSaidOf] = useState('')
  const [error, setError] = useState<ApiError>()
  const isAtWork = AT_WORK.has(state)
  const row = useRef<HTMLDivElement>(null)
  const pressed = useRef(false)
  // The button that was pressed may be gone with its state: the one in its place is next for the keys.
  useEffect(() => {
    if (!pressed.current || document.activeElement !== document.body) return
    row.current?.querySelector<HTMLElement>('button:not(:disabled)')?.focus()
  })
  const act = async (what: Act) => {
    pressed.current = true
    setBusy(true)
    setError(undefined)
    try {
      const { lines = [SAID[what]] } = await send<{ lines?: string[] }>(pipelinePath(detail.name, `/${what}`), {})
      setSaid(lines)
      setSaidOf(phaseOf(state))
      onDone()
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    } finally {
      setBusy(false)
    }
  }
  const started = () => {
    pressed.current = true
    setOpen(false)
    setSaid([])
    onDone()
  }
  const goesOn = state === 'interrupted' || state === 'stopped' || state === 'incomplete'
  return (
    <div class="actions">
      <div class="row wrap" ref={row}>
        {isAtWork ? (
          <button class="bad" disabled={isBusy || state === 'stopping'} onClick={() => void act('stop')}>
            {state === 'stopping' ? 'Stopping…' : 'Stop'}
          </button>
        ) : (
          <button class={isOpen ? undefined : 'first'} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {goesOn ? 'Go on…' : 'Start…'}
          </button>
        )}
        {state === 'running' ? (
          <button disabled={isBusy} onClick={() => void act('pause')}>
            Pause
          </button>
        ) : null}
        {state === 'pausing' || state === 'paused' ? (
          <button class="first" disabled={isBusy} onClick={() => void act('resume')}>
            Resume
          </button>
        ) : null}
        {quarantined > 0 && !isAtWork ? (
          <button disabled={isBusy} onClick={() => void act('retry')}>
            Retry quarantine
          </button>
        ) : null}
      </div>
      {error ? <Trouble error={error} /> : null}
      {said.length > 0 && saidOf === phaseOf(state) ? (
        <p role="status" class="small said">
          {said.join('\n')}
        </p>
      ) : null}
      {isOpen && !isAtWork ? <Start detail={detail} last={view ?? null} goesOn={goesOn} onStarted={started} /> : null}
    </div>
  )
}
