import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StepOutcome } from '../sdk/index.js'
import { decide, type ScheduledStep, type StepState } from './schedule.js'

/** Graphs without cycles: a step needs only steps before it. */
const graphs = fc
  .array(
    fc.record({
      needs: fc.array(fc.nat(), { maxLength: 3 }),
      gate: fc.boolean(),
      onError: fc.constantFrom('fail' as const, 'continue' as const),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((steps) =>
    steps.map(({ needs, gate, onError }, i): ScheduledStep => ({
      id: `s${i}`,
      needs: i === 0 ? [] : [...new Set(needs.map((n) => `s${n % i}`))],
      gate,
      onError,
    })),
  )

const outcomes = fc.constantFrom<StepOutcome>('complete', 'complete', 'complete', 'skipped', 'limited', 'incomplete', 'failed', 'closed')

/** Plays a whole run: starts what may start, ends running steps in an order and with outcomes that the data decide. */
function play(steps: readonly ScheduledStep[], limit: number, ends: readonly StepOutcome[], order: readonly number[]) {
  const states = new Map<string, StepState>(steps.map(({ id }) => [id, 'waiting']))
  const started: string[] = []
  let most = 0
  for (let turn = 0; turn < 1_000; turn++) {
    const { start, block } = decide(steps, states, limit)
    for (const { step } of block) states.set(step, 'blocked')
    for (const id of start) {
      started.push(id)
      const needs = steps.find((step) => step.id === id)?.needs ?? []
      for (const need of needs) expect(['waiting', 'running']).not.toContain(states.get(need))
      states.set(id, 'running')
    }
    const running = steps.filter(({ id }) => states.get(id) === 'running')
    most = Math.max(most, running.length)
    const [next] = running.slice((order[turn % order.length] ?? 0) % Math.max(1, running.length))
    if (next) states.set(next.id, ends[turn % ends.length] ?? 'complete')
    else if (block.length === 0) break
  }
  return { states, started, most }
}

describe('decide', () => {
  it('ends every graph: no step waits for ever, none starts twice, before its needs, or over the limit', () => {
    fc.assert(
      fc.property(
        graphs,
        fc.integer({ min: 1, max: 4 }),
        fc.array(outcomes, { minLength: 1, maxLength: 10 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 10 }),
        (steps, limit, ends, order) => {
          const { states, started, most } = play(steps, limit, ends, order)
          expect([...states.values()].filter((state) => state === 'waiting' || state === 'running')).toEqual([])
          expect(new Set(started).size).toBe(started.length)
          expect(most).toBeLessThanOrEqual(limit)
        },
      ),
    )
  })

  it('a failed step closes its descendants only', () => {
    const step = (id: string, ...needs: string[]): ScheduledStep => ({ id, needs, gate: false, onError: 'fail' })
    const steps = [step('a'), step('b', 'a'), step('c', 'b'), step('x'), step('y', 'x')]
    const states = new Map<string, StepState>([
      ['a', 'failed'],
      ['b', 'waiting'],
      ['c', 'waiting'],
      ['x', 'complete'],
      ['y', 'waiting'],
    ])
    expect(decide(steps, states, 8)).toEqual({ start: ['y'], block: [{ step: 'b', by: 'a' }] })
    states.set('b', 'blocked')
    expect(decide(steps, states, 8).block).toEqual([{ step: 'c', by: 'b' }])
  })

  it('with on_error: continue descendants run, and a closed gate still stops them', () => {
    const a: ScheduledStep = { id: 'a', needs: [], gate: false, onError: 'continue' }
    const b: ScheduledStep = { id: 'b', needs: ['a'], gate: false, onError: 'fail' }
    expect(
      decide(
        [a, b],
        new Map<string, StepState>([
          ['a', 'failed'],
          ['b', 'waiting'],
        ]),
        8,
      ),
    ).toEqual({ start: ['b'], block: [] })
    const gate: ScheduledStep = { id: 'a', needs: [], gate: true, onError: 'fail' }
    expect(
      decide(
        [gate, b],
        new Map<string, StepState>([
          ['a', 'closed'],
          ['b', 'waiting'],
        ]),
        8,
      ),
    ).toEqual({ start: [], block: [{ step: 'b', by: 'a' }] })
  })

  it.each(['incomplete', 'failed', 'closed', 'blocked'] as const)(
    'a gate starts although a need is %s, to say why it stays closed',
    (state) => {
      const a: ScheduledStep = { id: 'a', needs: [], gate: false, onError: 'fail' }
      const gate: ScheduledStep = { id: 'g', needs: ['a'], gate: true, onError: 'fail' }
      expect(
        decide(
          [a, gate],
          new Map<string, StepState>([
            ['a', state],
            ['g', 'waiting'],
          ]),
          8,
        ),
      ).toEqual({ start: ['g'], block: [] })
    },
  )
})
