import { array, assert, bigInt, boolean, constant, integer, jsonValue, oneof, property, record, string } from 'fast-check'
import { expect, test } from 'vitest'
import { Flight } from '../net/flight.js'
import type { RpcCall } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { CallRequest } from './request.js'
import { Segment } from './segment.js'
import { StepQueue } from './step-queue.js'

const STEP = { id: 'step', attempts: 5, waitMs: 500, maxWaitMs: 8_000 }

function bodyOf(calls: readonly RpcCall[], base: number): string {
  const segment = new Segment(calls, undefined, () => undefined)
  // Of the endpoint, a body needs nothing.
  const endpoint = {} as Endpoint
  const request = new CallRequest(
    1000,
    new Flight(),
    endpoint,
    new StepQueue(STEP),
    { segments: calls.map(() => segment), indexes: calls.map((_, i) => i), bytes: 0, credits: 0 },
    base,
    0,
    () => undefined,
  )
  return request.body(new Map())
}

const quantity = (_: string, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value)

test('a body is the JSON of its calls, whatever their params are', () => {
  const text = oneof(string(), constant('0x1f'), constant('latest'), constant('a"b'), constant('\\'))
  const param = oneof(text, text, boolean(), jsonValue(), bigInt({ min: 0n }))
  const call = record({ method: oneof(constant('eth_call'), string()), params: array(param, { maxLength: 4 }) })
  assert(
    property(array(call, { minLength: 1, maxLength: 8 }), integer({ min: 1, max: 1_000_000 }), (calls, base) => {
      const wanted = calls.map(({ method, params }, i) => ({ jsonrpc: '2.0', id: base + i, method, params }))
      expect(bodyOf(calls, base)).toBe(JSON.stringify(wanted.length === 1 ? wanted[0] : wanted, quantity))
    }),
  )
})
