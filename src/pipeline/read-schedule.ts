import type { Schedule } from '../schedule/times.js'
import { type Field, fieldOf, hasUnknown, textOf } from './yaml/node.js'
import type { Problems } from './yaml/problems.js'

/** When a file says that it is to run: a cron expression, or a map with one. Undefined where it says nothing, or something wrong. */
export async function readSchedule(field: Field, problems: Problems): Promise<Schedule | undefined> {
  if (!field.node || hasUnknown(field.node)) return undefined
  const parts = { cron: field.node.kind === 'map' ? fieldOf(field, 'cron') : field, timezone: fieldOf(field, 'timezone') }
  const cron = textOf(parts.cron)
  const timezone = textOf(parts.timezone) ?? 'UTC'
  // What the schema refuses.
  if (cron === undefined) return undefined
  const { scheduleFault } = await import('../schedule/times.js')
  const fault = scheduleFault({ cron, timezone })
  if (fault) {
    problems.error(parts[fault.of], fault.message, fault.hint)
    return undefined
  }
  return { cron: cron.trim(), timezone, missed: textOf(fieldOf(field, 'missed')) === 'skip' ? 'skip' : 'run' }
}
