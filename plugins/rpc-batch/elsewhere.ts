import type { PipeError } from '../../src/sdk/authors.js'
import { Answers } from './answers.js'
import { makeRows, readGroup } from './ask.js'
import { type Compiled, highestOf } from './compiled.js'
import { partOf } from './groups.js'
import { type Reading, setError } from './reading.js'

/**
 * Items whose answers were refused or do not fit, `open` of the reading, are read again, each time from one endpoint alone,
 * until one gives answers that agree and make rows. What not all endpoints were asked for is an outage.
 */
export async function askElsewhere(step: Compiled, reading: Reading, open: Map<number, PipeError>, rounds?: number): Promise<void> {
  const { group, signal, errors, hosts } = reading
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group), rounds })) {
    const items = [...open.keys()]
    const again = await readGroup(step, partOf(group, items), signal, (asked, options) => turn.batch(asked, options), new Answers(false))
    makeRows(step, again)
    for (const host of again.hosts) hosts.add(host)
    for (const [j, i] of items.entries()) {
      const said = again.refused.get(j)
      const error = said ?? again.unfit.get(j) ?? again.errors.get(j)
      if (!error) reading.take(i, again, j)
      else if (said ?? (error.blame === 'outage' && open.get(i)?.blame !== 'outage')) open.set(i, error)
    }
    const useless = [...again.refused.values(), ...again.unfit.values()]
    if (useless[0]) turn.refuse(useless.length, useless[0].message)
    if (open.size === 0) return
  }
  for (const [i, error] of open) errors.set(i, error)
}

/** Nothing is the answer where all endpoints say so: items for which one said it are read from each of them, until one has something. */
export async function askAll(step: Compiled, reading: Reading): Promise<void> {
  const { group, signal, doubted, errors, hosts } = reading
  const open = new Map<number, PipeError | undefined>([...doubted].map((i) => [i, undefined]))
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group), rounds: 1 })) {
    const items = [...open.keys()]
    const again = await readGroup(step, partOf(group, items), signal, (asked, options) => turn.batch(asked, options), new Answers(false))
    makeRows(step, again)
    for (const [j, i] of items.entries()) {
      const error = again.refused.get(j) ?? again.unfit.get(j) ?? again.errors.get(j)
      if (error?.blame === 'outage') open.set(i, error)
      if (error || again.doubted.has(j)) continue
      reading.take(i, again, j)
      open.delete(i)
    }
    for (const host of again.hosts) hosts.add(host)
    if (open.size === 0) return
  }
  for (const [i, error] of open) setError(errors, i, error)
}
