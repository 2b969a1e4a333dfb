import { useState } from 'preact/hooks'
import { ApiError, type PipelineDetail, pipelinePath, send } from './api.js'
import { Trouble } from './app.js'
import { Start } from './start.js'

interface ActionsProps {
  readonly detail: PipelineDetail
  readonly state: string
  readonly quarantined: number
  /** Something was done: what is shown besides the stream is to be read again. */
  readonly onDone: () => void
}

const AT_WORK = new Set(['starting', 'running', 'stopping'])

/** Start, stop, and let what is in quarantine be tried again. */
export function Actions({ detail, state, quarantined, onDone }: ActionsProps) {
  const [isOpen, setOpen] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [said, setSaid] = useState<readonly string[]>([])
  const [error, setError] = useState<ApiError>()
  const isAtWork = AT_WORK.has(state)
  const act = async (what: 'stop' | 'retry') => {
    setBusy(true)
    setError(undefined)
    try {
      const { lines = ['Stopping: what is under way is committed, the rest is left to the next run.'] } = await send<{ lines?: string[] }>(
        pipelinePath(detail.name, `/${what}`),
        {},
      )
      setSaid(lines)
      onDone()
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    } finally {
      setBusy(false)
    }
  }
  const started = () => {
    setOpen(false)
    setSaid([])
    onDone()
  }
  const goesOn = state === 'interrupted' || state === 'stopped' || state === 'incomplete'
  return (
    <div class="actions">
      <div class="row wrap">
        {isAtWork ? (
          <button class="bad" disabled={isBusy || state === 'stopping'} onClick={() => void act('stop')}>
            {state === 'stopping' ? 'Stopping…' : 'Stop'}
          </button>
        ) : (
          <button class={isOpen ? undefined : 'first'} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {goesOn ? 'Go on…' : 'Start…'}
          </button>
        )}
        {quarantined > 0 && !isAtWork ? (
          <button disabled={isBusy} onClick={() => void act('retry')}>
            Retry quarantine
          </button>
        ) : null}
      </div>
      {error ? <Trouble error={error} /> : null}
      {said.length > 0 ? (
        <p role="status" class="small said">
          {said.join('\n')}
        </p>
      ) : null}
      {isOpen && !isAtWork ? <Start detail={detail} onStarted={started} /> : null}
    </div>
  )
}
