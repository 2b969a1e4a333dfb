import { Cells } from './canvas.js'
import { STATES, WORDS } from './scale.js'

const WINDOW = { from: 0, to: 0 }
const LAYERS = new Map(STATES.map((state) => [state, [[{ ...WINDOW, places: { [state]: 1 } }]]]))

/** How each state is drawn, and what the keys do. */
export function Legend() {
  return (
    <div class="legend small">
      <ul>
        {STATES.map((state) => (
          <li key={state}>
            <Cells layers={LAYERS.get(state) ?? []} window={WINDOW} /> {WORDS[state]}
          </li>
        ))}
      </ul>
      <p class="dim fingers">Two fingers zoom, one moves, a tap shows the ledger.</p>
      <p class="dim keys">
        Wheel or <kbd>+</kbd> <kbd>−</kbd> zoom, drag or <kbd>PgUp</kbd> <kbd>PgDn</kbd> move, <kbd>n</kbd> goes to the next gap,{' '}
        <kbd>Enter</kbd> or a click shows the ledger, Shift + drag chooses what to read again, <kbd>Esc</kbd> closes.
      </p>
    </div>
  )
}
