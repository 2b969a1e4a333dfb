import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { edges, type GraphNode, levels, orderSteps } from './graph.js'

const node = (id: string, ...needs: string[]): GraphNode => ({ id, needs })

describe('order', () => {
  test('is that of the file where needs allow it', () => {
    expect(orderSteps([node('b'), node('a', 'b'), node('c')])).toEqual({ order: ['b', 'a', 'c'] })
    expect(orderSteps([node('a', 'z', 'b'), node('b', 'z'), node('c'), node('z')])).toEqual({ order: ['z', 'b', 'a', 'c'] })
    expect(orderSteps([])).toEqual({ order: [] })
  })

  test('looks past needs that are no step, and needs that are written twice', () => {
    expect(orderSteps([node('a', 'gone', 'b', 'b'), node('b')])).toEqual({ order: ['b', 'a'] })
  })

  test('takes names that objects have of themselves', () => {
    expect(orderSteps([node('constructor', '__proto__'), node('__proto__'), node('toString', 'constructor')])).toEqual({
      order: ['__proto__', 'constructor', 'toString'],
    })
  })

  test('puts a step after all it needs and keeps what it can of the file, for any graph without a cycle', () => {
    fc.assert(
      fc.property(acyclic(), (steps) => {
        const result = orderSteps(steps)
        if (!('order' in result)) throw new Error('no cycle was drawn')
        const at = new Map(result.order.map((id, i) => [id, i]))
        expect([...result.order].sort()).toEqual(steps.map(({ id }) => id).sort())
        for (const { id, needs } of steps) for (const need of needs) expect(at.get(need)).toBeLessThan(at.get(id) ?? -1)
        // A file in order stays as it is.
        const sorted = result.order.map((id) => steps.find((step) => step.id === id) ?? node(id))
        expect(orderSteps(sorted)).toEqual({ order: result.order })
      }),
    )
  })

  test('ten thousand steps in a row are ordered without a deep stack', () => {
    const steps = Array.from({ length: 10_000 }, (_, i) => node(`s${i}`, ...(i < 9999 ? [`s${i + 1}`] : [])))
    expect(orderSteps(steps)).toMatchObject({ order: expect.arrayContaining(['s0']) })
    expect(orderSteps([...steps.slice(0, 9999), node('s9999', 's0')])).toMatchObject({ cycle: expect.arrayContaining(['s5000']) })
  })
})

describe('cycles', () => {
  test.each<[string, GraphNode[], string[]]>([
    ['of one', [node('a', 'a')], ['a', 'a']],
    ['of two', [node('a', 'b'), node('b', 'a')], ['a', 'b', 'a']],
    ['behind other steps', [node('x'), node('s', 'x', 'b'), node('a', 'b'), node('b', 'c'), node('c', 'a')], ['b', 'c', 'a', 'b']],
  ])('%s come as a path', (_, steps, cycle) => {
    expect(orderSteps(steps)).toEqual({ cycle })
  })

  test('a reported cycle is one that is there, and none is missed', () => {
    fc.assert(
      fc.property(acyclic(), fc.nat(), fc.nat(), (steps, from, to) => {
        const [first, last] = [steps[from % steps.length], steps[to % steps.length]]
        if (!first || !last) return
        const looped = steps.map((step) => (step === first ? node(step.id, ...step.needs, last.id) : step))
        const result = orderSteps(looped)
        if ('order' in result) {
          expect(reaches(looped, last.id, first.id)).toBe(false)
          return
        }
        const needs = new Map(looped.map((step) => [step.id, step.needs]))
        expect(result.cycle[0]).toBe(result.cycle.at(-1))
        result.cycle.slice(1).forEach((need, i) => expect(needs.get(result.cycle[i] ?? '')).toContain(need))
      }),
    )
  })
})

test('levels hold what can run at the same time, in the order of the file', () => {
  const steps = [node('gate', 'b', 'a'), node('b', 'raw'), node('a', 'raw'), node('raw'), node('alone')]
  expect(levels(steps)).toEqual([['raw', 'alone'], ['b', 'a'], ['gate']])
})

test('edges lead from what is needed, and none leads from what is no step', () => {
  expect(edges([node('a', 'b', 'gone'), node('b')])).toEqual([['b', 'a']])
})

/** Graphs whose edges lead from earlier to later in one order, in a file of another order. */
function acyclic(): fc.Arbitrary<GraphNode[]> {
  return fc
    .integer({ min: 1, max: 12 })
    .chain((count) =>
      fc
        .tuple(
          fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 30 }),
          fc.shuffledSubarray([...Array(count).keys()], { minLength: count }),
        )
        .map(([pairs, file]) =>
          file.map((i) =>
            node(`s${i}`, ...pairs.filter(([a, b]) => Math.max(a, b) === i && a !== b).map(([a, b]) => `s${Math.min(a, b)}`)),
          ),
        ),
    )
}

function reaches(steps: readonly GraphNode[], from: string, to: string): boolean {
  const seen = new Set<string>()
  const visit = (id: string): boolean =>
    id === to || (!seen.has(id) && Boolean(seen.add(id)) && (steps.find((step) => step.id === id)?.needs ?? []).some(visit))
  return visit(from)
}
