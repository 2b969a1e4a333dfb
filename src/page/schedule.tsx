import type { ScheduleAnswer } from './api.js'
import { moment, soon } from './words.js'

/** When the server runs a pipeline by itself. */
export function Schedule({ schedule, now }: { schedule: ScheduleAnswer; now: number }) {
  const { cron, timezone, missed, next } = schedule
  const [first, ...later] = next
  const rest = missed === 'run' ? 'missed times are made up for by one run' : 'missed times are left out'
  return (
    <p class="small schedule" title={[...later.map((time) => `then ${moment(time)} UTC`), rest].join('; ')}>
      <span class="dim">Runs at</span> <code>{cron}</code> <span class="dim">{timezone}</span>
      {first === undefined ? null : (
        <>
          {', '}next <strong>{soon(Date.parse(first) - now)}</strong> <span class="dim">({moment(first).slice(0, 16)} UTC)</span>
        </>
      )}
    </p>
  )
}
