/** What a state means to who looks: colour, and a shape for who sees none. */
type Tone = 'idle' | 'busy' | 'good' | 'warn' | 'bad'

interface Look {
  readonly tone: Tone
  readonly shape: string
}

const RING = 'M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11'
const SHAPES = {
  ring: RING,
  arc: 'M8 2.5a5.5 5.5 0 0 1 5.5 5.5',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  part: 'M3 8.5l3.5 3.5L13 4.5M3 14.5h10',
  cross: 'M4 4l8 8M12 4l-8 8',
  square: 'M4 4h8v8h-8z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  warning: 'M8 2.5l6 11h-12zM8 6.5v3.5M8 11.8v.4',
  lock: 'M4 7.5h8v6h-8zM5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2',
  barred: `${RING}M4.2 4.2l7.6 7.6`,
  dash: 'M3.5 8h9',
  torn: 'M8 2.5a5.5 5.5 0 0 1 4 9.3M8 13.5a5.5 5.5 0 0 1-4-9.3M8 5v3.5l2 2',
}

const LOOKS: Readonly<Record<string, Look>> = {
  never: { tone: 'idle', shape: SHAPES.ring },
  waiting: { tone: 'idle', shape: SHAPES.ring },
  planned: { tone: 'idle', shape: SHAPES.ring },
  skipped: { tone: 'idle', shape: SHAPES.dash },
  starting: { tone: 'busy', shape: SHAPES.arc },
  running: { tone: 'busy', shape: SHAPES.arc },
  pausing: { tone: 'warn', shape: SHAPES.arc },
  paused: { tone: 'warn', shape: SHAPES.pause },
  stopping: { tone: 'warn', shape: SHAPES.arc },
  stopped: { tone: 'warn', shape: SHAPES.square },
  done: { tone: 'good', shape: SHAPES.check },
  complete: { tone: 'good', shape: SHAPES.check },
  passed: { tone: 'good', shape: SHAPES.check },
  up: { tone: 'good', shape: SHAPES.check },
  limited: { tone: 'good', shape: SHAPES.part },
  incomplete: { tone: 'warn', shape: SHAPES.warning },
  warning: { tone: 'warn', shape: SHAPES.warning },
  blocked: { tone: 'warn', shape: SHAPES.barred },
  interrupted: { tone: 'bad', shape: SHAPES.torn },
  closed: { tone: 'bad', shape: SHAPES.lock },
  failed: { tone: 'bad', shape: SHAPES.cross },
  error: { tone: 'bad', shape: SHAPES.cross },
  down: { tone: 'bad', shape: SHAPES.cross },
}

const UNKNOWN: Look = { tone: 'idle', shape: SHAPES.ring }

export const toneOf = (state: string): Tone => (LOOKS[state] ?? UNKNOWN).tone

/** A state as shape, colour and word. */
export function Mark({ state, word = state, isQuiet = false }: { state: string; word?: string; isQuiet?: boolean }) {
  const { tone, shape } = LOOKS[state] ?? UNKNOWN
  const isTurning = shape === SHAPES.arc
  return (
    <span class={`mark ${tone}${isQuiet ? ' quiet' : ''}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true" class={isTurning ? 'turning' : undefined}>
        {isTurning ? <path class="track" d={SHAPES.ring} /> : null}
        <path d={shape} />
      </svg>
      <span class={isQuiet ? 'unseen' : undefined}>{word}</span>
    </span>
  )
}
