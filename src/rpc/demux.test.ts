import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { demux } from './demux.js'

const BASE = 7
const answer = (id: unknown, result: unknown) => ({ jsonrpc: '2.0', id, result })

/** What a reply says of each call, or what is wrong with it. */
function values(reply: unknown, count: number): unknown {
  const demuxed = demux(reply, BASE, count)
  return demuxed.kind === 'items' ? demuxed.items.map((item) => item?.result) : demuxed.kind
}

const shuffled = fc.integer({ min: 1, max: 40 }).chain((count) =>
  fc.record({
    count: fc.constant(count),
    order: fc.shuffledSubarray(
      Array.from({ length: count }, (_, i) => i),
      { minLength: count },
    ),
  }),
)

describe('replies are paired by id', () => {
  test('in whatever order they come', () => {
    fc.assert(
      fc.property(shuffled, ({ count, order }) => {
        const reply = order.map((i) => answer(BASE + i, `value ${i}`))
        expect(values(reply, count)).toEqual(Array.from({ length: count }, (_, i) => `value ${i}`))
      }),
    )
  })

  test('those that are left out are missing, the others are not touched', () => {
    fc.assert(
      fc.property(shuffled, fc.infiniteStream(fc.boolean()), ({ count, order }, coin) => {
        const kept = order.filter(() => coin.next().value)
        fc.pre(kept.length > 0)
        const demuxed = demux(
          kept.map((i) => answer(BASE + i, i)),
          BASE,
          count,
        )
        expect(demuxed).toMatchObject({ kind: 'items', missing: count - kept.length, unknown: 0, loose: undefined })
        expect(demuxed.kind === 'items' && demuxed.items.map((item) => item?.result)).toEqual(
          Array.from({ length: count }, (_, i) => (kept.includes(i) ? i : undefined)),
        )
      }),
    )
  })

  test('an answer given twice counts once when both are equal, and spoils the reply when they differ', () => {
    fc.assert(
      fc.property(shuffled, fc.nat(39), fc.boolean(), fc.jsonValue(), ({ count, order }, which, equal, value) => {
        const twice = which % count
        const reply: unknown[] = order.map((i) => answer(BASE + i, i === twice ? { value } : i))
        reply.splice(which % reply.length, 0, answer(BASE + twice, equal ? { value } : { other: value }))
        expect(values(reply, count)).toEqual(equal ? Array.from({ length: count }, (_, i) => (i === twice ? { value } : i)) : 'invalid')
      }),
    )
  })

  test('ids as text count as numbers, strange ids are counted and left out', () => {
    fc.assert(
      fc.property(
        shuffled,
        fc.array(
          fc.oneof(
            fc.constantFrom<unknown>(true, {}, [], 'x', '', '-1', '7.5', 7.5, -1, 1e300, '99999999999999999999'),
            fc.integer({ min: 1000, max: 2000 }),
          ),
        ),
        ({ count, order }, strange) => {
          const reply = [...strange.map((id) => answer(id, 'not asked for')), ...order.map((i) => answer(String(BASE + i), i))]
          const demuxed = demux(reply, BASE, count)
          expect(demuxed).toMatchObject({ kind: 'items', missing: 0, unknown: strange.length })
          expect(values(reply, count)).toEqual(Array.from({ length: count }, (_, i) => i))
        },
      ),
    )
  })

  test('nothing that a node can send makes it throw or invent an answer', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.oneof(
              fc.jsonValue(),
              fc.record(
                {
                  id: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.string(), fc.constant(null)),
                  result: fc.jsonValue(),
                  error: fc.jsonValue(),
                },
                { requiredKeys: [] },
              ),
            ),
          ),
        ),
        (reply) => {
          const demuxed = demux(reply, BASE, 4)
          if (demuxed.kind !== 'items') return
          demuxed.items.forEach((item, i) => {
            if (item) expect(Number((item as { id?: unknown }).id)).toBe(BASE + i)
          })
        },
      ),
    )
  })

  test('an error without an id speaks of the whole request, or of those that are missing', () => {
    const error = { code: -32600, message: 'batch too large' }
    expect(demux([{ id: null, error }], BASE, 3)).toEqual({ kind: 'error', error })
    expect(demux({ id: null, error }, BASE, 3)).toEqual({ kind: 'error', error })
    expect(demux([answer(7, 'a'), { id: null, error }], BASE, 3)).toMatchObject({ kind: 'items', missing: 2, loose: error })
  })

  test('one error object for many calls is an error of all of them, for one call it is its own', () => {
    const error = { code: 3, message: 'execution reverted' }
    expect(demux({ id: 7, error }, BASE, 3)).toEqual({ kind: 'error', error })
    expect(demux({ id: 7, error }, BASE, 1)).toMatchObject({ kind: 'items', items: [{ error }] })
  })

  test('a complaint of a gateway is an error, what is no JSON-RPC is nothing', () => {
    expect(demux({ message: 'no Route matched with those values' }, BASE, 1)).toEqual({
      kind: 'error',
      error: { message: 'no Route matched with those values' },
    })
    expect(['text', 5, null, true].map((reply) => demux(reply, BASE, 1).kind)).toEqual(['invalid', 'invalid', 'invalid', 'invalid'])
  })
})
