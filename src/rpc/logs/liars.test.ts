import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import * as hasher from '../../proof/index.js'
import type { Belief, LogFilter } from '../../sdk/index.js'
import { type FakeChain, fakeChain, type Fault, logWordings } from '../../sandbox/index.js'
import type { RpcLogsError } from './errors.js'
import { CONTRACT, covered, logWorld, type LogWorld, OTHER, someLogs, truth, word } from '../fixtures/log-world.js'

/** More for a longer look: SEED=4242 PIPE_TEST_CASES=500 npx vitest run src/rpc/logs/liars.test.ts */
const CASES = Number(process.env.PIPE_TEST_CASES ?? 3)
const SEED = process.env.SEED === undefined ? undefined : Number(process.env.SEED)

const HEAD = 90
const chains: readonly FakeChain[] = [0, 1, 2].map((kind) =>
  fakeChain({
    seed: kind + 1,
    blocks: HEAD,
    transactions: 2,
    hasher,
    logs: someLogs((block) => [Number(block % 4n), block % 30n === 7n ? 3 : 0, block === 50n ? 60 : 2][kind]!),
  }),
)

const refusals: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant('log-range' as const), max: fc.integer({ min: 1, max: 60 }), error: wording() }),
  fc.record({ kind: fc.constant('log-cap' as const), max: fc.integer({ min: 5, max: 50 }), error: wording() }),
  fc.record({ kind: fc.constant('rate-limit' as const), times: fc.integer({ min: 1, max: 3 }), after: fc.nat(5) }),
  fc.record({
    kind: fc.constant('error' as const),
    error: fc.constant({ code: -32601, message: 'the method does not exist/is not available' }),
    methods: fc.constant(['eth_getBlockReceipts']),
  }),
)

function wording() {
  return fc.constantFrom(logWordings.alchemy, logWordings.infura, logWordings.nethermind, logWordings.sameAgain, logWordings.ankr)
}

const lies: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant('log-hole' as const), lacks: fc.constantFrom<'one-of-several' | number>('one-of-several', 2, 7) }),
  fc.record({ kind: fc.constant('log-hole' as const), lacks: fc.constant(3), widerThan: fc.integer({ min: 2, max: 30 }) }),
  fc.record({ kind: fc.constant('log-hole' as const), lacks: fc.constant(1), chance: fc.constant(0.5) }),
  fc.record({ kind: fc.constant('log-cap' as const), max: fc.integer({ min: 1, max: 40 }), silent: fc.constant(true) }),
  fc.record({ kind: fc.constant('log-lag' as const), blocks: fc.integer({ min: 1, max: HEAD }) }),
  fc.record({ kind: fc.constant('log-odd' as const), odd: fc.constantFrom('removed' as const, 'twice', 'outside', 'hash') }),
  fc.constant<Fault>({ kind: 'receipts-short' }),
)

/** What only a root tells, where the other logs of the block are like it. */
const wellHidden: fc.Arbitrary<Fault> = fc.constant({ kind: 'receipts-hole' })

const endpointsWith = (lie: fc.Arbitrary<Fault>) =>
  fc
    .tuple(
      fc.record({ faults: fc.array(refusals, { maxLength: 2 }), lag: fc.constant(0) }),
      fc.array(
        fc.record({
          faults: fc.tuple(fc.array(refusals, { maxLength: 1 }), fc.array(lie, { minLength: 1, maxLength: 2 })).map((both) => both.flat()),
          lag: fc.constantFrom(0, 0, 5, 50),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      fc.boolean(),
    )
    .map(([honest, liars, last]) => (last ? [...liars, honest] : [honest, ...liars]))

const filters: fc.Arbitrary<Partial<LogFilter>> = fc.constantFrom(
  {},
  { addresses: [OTHER] },
  { addresses: [CONTRACT, OTHER], topics: [null, null, [word(0), word(3)]] },
  { topics: [null, [word(50)]] },
)

/** The honest one may be refused for its rate for a while. */
const PATIENT = { attempts: 5, maxWaitMs: 60_000 }

const open: LogWorld[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((world) => world.close()))
})

test.each(['receipts', 'proof'] satisfies Belief[])(
  'one honest endpoint among liars is enough: with %s all logs are those of the chain',
  async (verify) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2),
        endpointsWith(verify === 'proof' ? fc.oneof(lies, wellHidden) : lies),
        filters,
        fc.nat(30),
        async (kind, given, filter, from) => {
          const chain = chains[kind]!
          const world = await logWorld(chain, given)
          open.push(world)
          const { pages, logs, error } = await world.read({ verify, filter, from: BigInt(from), step: PATIENT })
          await open.pop()!.close()
          expect(error).toBeUndefined()
          expect(covered(pages)).toEqual([`${from}-${HEAD}`])
          expect(logs).toEqual(truth(chain, BigInt(from), BigInt(HEAD), filter))
        },
      ),
      { numRuns: CASES, seed: SEED, endOnFailure: true },
    )
  },
)

test.each(['receipts', 'proof'] satisfies Belief[])(
  'among liars only, what is given with %s is that of the chain, and the rest is named',
  async (verify) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2),
        endpointsWith(verify === 'proof' ? fc.oneof(lies, wellHidden) : lies),
        fc.array(lies, { minLength: 1, maxLength: 2 }),
        filters,
        async (kind, given, more, filter) => {
          const chain = chains[kind]!
          const world = await logWorld(
            chain,
            given.map(({ faults, lag }) => ({ faults: [...faults, ...more], lag })),
          )
          open.push(world)
          const { pages, error } = await world.read({ verify, filter, step: { attempts: 2 } })
          await open.pop()!.close()
          for (const { from, to, logs } of pages) expect(logs).toEqual(truth(chain, from, to, filter))
          const named = (error as RpcLogsError | undefined)?.stretches ?? []
          expect(covered([...pages, ...named.map(([from, to]) => ({ from, to }))])).toEqual([`0-${HEAD}`])
        },
      ),
      { numRuns: CASES, seed: SEED, endOnFailure: true },
    )
  },
)
