import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, pipelinePath, send } from '../api.js'
import { Trouble } from '../trouble.js'
import { amount, type Axis, type Cell, cellInWords, partOf, rangeOf, sizeOf, type Span } from './scale.js'

/** A part of the line of a step that somebody has chosen. */
export interface Picked extends Span {
  readonly step: string
}

interface ReadAgainProps {
  readonly pipeline: string
  readonly axis: Axis
  readonly picked: Picked
  readonly cells: readonly Cell[]
  readonly isRunning: boolean
  readonly onClose: () => void
  /** Something was marked. */
  readonly onDone: () => void
}

/** Marks a stretch as not done, once it is said what that means. */
export function ReadAgain({ pipeline, axis, picked, cells, isRunning, onClose, onDone }: ReadAgainProps) {
  const [first, last] = rangeOf(picked, axis)
  const [isBusy, setBusy] = useState(false)
  const [said, setSaid] = useState<readonly string[]>()
  const [error, setError] = useState<ApiError>()
  const [isChanged, setChanged] = useState(false)
  const close = useRef<HTMLButtonElement>(null)
  const { step, from, to } = picked
  useEffect(() => close.current?.focus(), [step, from, to])
  const mark = async (form: HTMLFormElement) => {
    if (isBusy) return
    const text = (name: string) => String(new FormData(form).get(name) ?? '').trim()
    setBusy(true)
    setError(undefined)
    try {
      const { lines } = await send<{ lines: string[] }>(pipelinePath(pipeline, '/reset'), { step, range: `${text('from')}..${text('to')}` })
      setSaid(lines)
      onDone()
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form
      class="line"
      aria-label={`Read ${step} again`}
      onSubmit={(event) => {
        event.preventDefault()
        void mark(event.target as HTMLFormElement)
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        onClose()
      }}
    >
      <div class="row">
        <h3>Read {step} again</h3>
        <span class="grow" />
        <button type="button" ref={close} onClick={onClose}>
          Close
        </button>
      </div>
      <div class="inputs range" key={`${step} ${first} ${last}`} onInput={() => setChanged(true)}>
        <label>
          From <input name="from" defaultValue={first} required autocomplete="off" spellcheck={false} />
        </label>
        <label>
          to, included <input name="to" defaultValue={last} required autocomplete="off" spellcheck={false} />
        </label>
      </div>
      <p class="small">
        {isChanged ? null : (
          <>
            {amount(sizeOf(picked), axis)}: {cellInWords(partOf(cells, picked), axis) || 'nothing is known of it'}.{' '}
          </>
        )}
        It is marked as not done, and nothing is deleted now: the next run reads it again and puts the new rows in the place of the old
        ones, then computes again what is made of them.
      </p>
      <div class="row wrap">
        <button class="bad" disabled={isRunning} aria-busy={isBusy}>
          {isBusy ? 'Marking…' : 'Mark it as not done'}
        </button>
        {isRunning ? <span class="small warn">A run is at work: stop it, or wait until it ends.</span> : null}
      </div>
      {error ? <Trouble error={error} /> : null}
      {said ? (
        <p role="status" class="small said">
          {said.slice(-4).join('\n')}
        </p>
      ) : null}
    </form>
  )
}
