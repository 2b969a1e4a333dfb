import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { untilAborted } from './until-aborted.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('untilAborted', () => {
  it('keeps no batch alive that was taken, so that the memory of a long unit is flat', async () => {
    const given: WeakRef<object>[] = []
    async function* step() {
      for (let i = 0; i < 500; i++) {
        await turn()
        const batch = { rows: Array.from({ length: 100 }, () => i) }
        given.push(new WeakRef(batch))
        yield batch
      }
    }
    let alive = Infinity
    for await (const { rows } of untilAborted(step(), new AbortController().signal)) {
      if (rows[0] !== 499) continue
      await turn()
      collect()
      alive = given.filter((ref) => ref.deref() !== undefined).length
    }
    expect(given.length).toBe(500)
    expect(alive).toBeLessThan(10)
  })

  it('throws the reason of the abort although the step never comes back', async () => {
    const stop = new AbortController()
    async function* step() {
      yield 1
      await new Promise(() => undefined)
    }
    const seen: number[] = []
    const all = (async () => {
      for await (const batch of untilAborted(step(), stop.signal)) {
        seen.push(batch)
        setImmediate(() => stop.abort(new Error('stopped')))
      }
    })()
    await expect(all).rejects.toThrow('stopped')
    expect(seen).toEqual([1])
  })

  it('leaves no listener on the signal, whether the step ends, throws or is left', async () => {
    const stop = new AbortController()
    const listeners = new Set<unknown>()
    const { signal } = stop
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (type: string, listener: () => void) => (listeners.add(listener), add(type, listener))
    signal.removeEventListener = (type: string, listener: () => void) => (listeners.delete(listener), remove(type, listener))
    async function* good() {
      yield 1
      yield 2
    }
    async function* bad() {
      yield 1
      throw new Error('bad')
    }
    for await (const batch of untilAborted(good(), signal)) expect(batch).toBeGreaterThan(0)
    for await (const batch of untilAborted(good(), signal)) if (batch === 1) break
    await expect(
      (async () => {
        for await (const batch of untilAborted(bad(), signal)) expect(batch).toBe(1)
      })(),
    ).rejects.toThrow('bad')
    await turn()
    expect(listeners.size).toBe(0)
  })
})
