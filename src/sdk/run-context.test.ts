import { expect, test } from 'vitest'
import type { PlanContext, Unit } from './step.js'
import { runContext } from './run-context.js'

const step = { config: { a: 1 }, outputs: [] } as unknown as PlanContext<never>
const unit: Unit = { key: 'all', piece: { kind: 'task' }, size: 1 }
const { signal } = new AbortController()

test('what a caller does not give is named with who asked for it, when it is used and not before', async () => {
  const context = runContext({ step, unit, ports: { head: () => Promise.resolve(7n) }, signal, user: 'step s' })
  expect(() => context.rpc).toThrow('step s asks for `rpc`, which it is not given')
  expect(() => context.http).toThrow('step s asks for `http`, which it is not given')
  expect(() => context.input()).toThrow('step s asks for `input`, which it is not given')
  expect(await context.head()).toBe(7n)
})

test('without a budget every request is granted, and what plan got is there too', () => {
  const context = runContext({ step, unit, cursor: { n: 1 }, ports: {}, signal, user: 'step s' })
  expect([context.budget.take(), context.cursor, context.config, context.unit]).toEqual([true, { n: 1 }, { a: 1 }, unit])
})
