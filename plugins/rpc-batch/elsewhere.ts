import type { PipeError } from '../../src/sdk/authors.js'
import { Answers } from './answers.js'
import { makeRows, readGroup } from './ask.js'
import { type Ask, type Compiled, highestOf } from './compiled.js'
import { partOf } from './groups.js'
import { type Reading, setError } from './reading.js'
import { BlockInconsistentError, BlockUnprovableError, FieldUnprovableError } from './refused.js'

/**
 * Items whose answers were refused or do not fit, `open` of the reading, are read again, each time from one endpoint alone,
 * until one gives answers that agree and make rows. What not all endpoints were asked for is an outage.
 */
export async function askElsewhere(step: Compiled, reading: Reading, open: Map<number, PipeError>, rounds?: number): Promise<void> {
  const { group, signal, errors, hosts } = reading
  /** Of each item, what is wrong with it at which endpoint. */
  const whys = new Map([...open.keys()].map((i) => [i, new Map<string, string>()]))
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group), rounds })) {
    const items = [...open.keys()]
    const again = await readGroup(step, partOf(group, items), signal, (asked, options) => turn.batch(asked, options), new Answers(false))
    await makeRows(step, again)
    for (const host of again.hosts) hosts.add(host)
    for (const [j, i] of items.entries()) {
      const said = again.refused.get(j)
      const error = said ?? again.unfit.get(j) ?? again.errors.get(j)
      if (said instanceof BlockInconsistentError) whys.get(i)?.set(turn.endpoint, said.problem)
      if (!error) reading.take(i, again, j)
      else if (said ?? (error.blame === 'outage' && open.get(i)?.blame !== 'outage')) open.set(i, error)
    }
    const useless = [...again.refused.values(), ...again.unfit.values()]
    if (useless[0]) turn.refuse(useless.length, useless[0].message)
    if (open.size === 0) return
  }
  for (const [i, error] of open) errors.set(i, error instanceof BlockInconsistentError ? toldBy(error, whys.get(i)) : error)
}

function toldBy(error: BlockInconsistentError, whys: ReadonlyMap<string, string> = new Map()): BlockInconsistentError {
  if (whys.size === 0) return error
  return new BlockInconsistentError(error.where, [...whys].map(([endpoint, why]) => `${why} (${endpoint})`).join('; '))
}

/**
 * A form that no endpoint's answers can be proved in is that of the chain, and one block is enough to see it: nothing goes on.
 *
 * @throws {BlockUnprovableError | FieldUnprovableError}
 */
export async function throwUnprovable(step: Compiled, { group, signal, refused }: Reading): Promise<void> {
  const found = [...refused].find(([, each]) => isUnprovable(each))
  if (!found) return
  const [i, error] = found
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group), rounds: 1 })) {
    const ask: Ask = (asked, options) => turn.batch(asked, options)
    const again = await readGroup(step, partOf(group, [i]), signal, ask, new Answers(false))
    if (!isUnprovable(again.refused.get(0))) return
  }
  throw error
}

const isUnprovable = (error: PipeError | undefined): boolean =>
  error instanceof BlockUnprovableError || error instanceof FieldUnprovableError

/** Nothing is the answer where all endpoints say so: items for which one said it are read from each of them, until one has something. */
export async function askAll(step: Compiled, reading: Reading): Promise<void> {
  const { group, signal, doubted, errors, hosts } = reading
  const open = new Map<number, PipeError | undefined>([...doubted].map((i) => [i, undefined]))
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group), rounds: 1 })) {
    const items = [...open.keys()]
    const again = await readGroup(step, partOf(group, items), signal, (asked, options) => turn.batch(asked, options), new Answers(false))
    await makeRows(step, again)
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
