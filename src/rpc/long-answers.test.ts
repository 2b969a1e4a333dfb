import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { afterEach, expect, test, vi } from 'vitest'
import type { RpcCall } from '../sdk/index.js'
import { endpoint, fastClock, openPool, startNode } from './fixtures/fake-node.js'

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.all(open.splice(0).map((each) => each.close()))
})

const receipts = Array.from({ length: 4_000 }, (_, i) => ({
  transactionIndex: `0x${i.toString(16)}`,
  logsBloom: `0x${'0'.repeat(512)}`,
  logs: [],
}))
const call: RpcCall = { method: 'eth_getBlockReceipts', params: ['0x1'] }
const brotli = (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })

/** What a node answers with receipts of 2.4 MB, in the way of `send`. With it, the length of the longest text that was parsed at once. */
async function answered(
  send: (body: Buffer) => { readonly body: Buffer; readonly headers?: Record<string, string> | undefined },
  asked = call,
) {
  const clock = fastClock(50)
  const node = await startNode(clock)
  const { rpc } = openPool([endpoint(node)], clock)
  open.push(node, rpc)
  node.intercept = ({ calls: [first] }, response) => {
    const { body, headers } = send(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: first?.id, result: receipts })))
    response.writeHead(200, { 'content-type': 'application/json', ...headers })
    response.end(body)
  }
  const parse = vi.spyOn(JSON, 'parse')
  const lane = rpc.forStep({ id: 'step', attempts: 2, waitMs: 500, maxWaitMs: 1_000 })
  const [value, error] = await lane.batch([asked], { signal: new AbortController().signal }).then(
    ({ values, errors }) => [values[0], errors?.get(0)?.message],
    (outage: Error) => [undefined, outage.message],
  )
  const longest = Math.max(...parse.mock.calls.map(([text]) => text.length))
  return { value, error, longest }
}

test.each([
  ['as it is', (body: Buffer) => ({ body })],
  ['in gzip', (body: Buffer) => ({ body: gzipSync(body, { level: 0 }), headers: { 'content-encoding': 'gzip' } })],
])('a long answer that comes %s is parsed while it comes, and never more than a piece at once', async (_, send) => {
  const { value, error, longest } = await answered(send)
  expect([error, longest < 600_000]).toEqual([undefined, true])
  expect(value).toEqual(receipts)
})

test('one that is short on its way and long when it is unpacked is the same value', async () => {
  const { value, error } = await answered((body) => ({ body: brotli(body), headers: { 'content-encoding': 'br' } }))
  expect(error).toBeUndefined()
  expect(value).toEqual(receipts)
})

test('of a long answer only the fields that the asker looks at become values, also when it is packed', async () => {
  const keep = { fields: ['transactionIndex', 'logs'], blooms: 'unexplained' } as const
  const kept = receipts.map(({ transactionIndex, logs }) => ({ transactionIndex, logs }))
  const packed = (body: Buffer) => ({ body: gzipSync(body, { level: 1 }), headers: { 'content-encoding': 'gzip' } })
  const [plain, unpacked] = [await answered((body) => ({ body }), { ...call, keep }), await answered(packed, { ...call, keep })]
  expect([plain.error, [...(plain.value as Iterable<unknown>)]]).toEqual([undefined, kept])
  // Packed it is short, and read whole: it may have more.
  expect(unpacked.value).toMatchObject(kept)
})

test('one that is no JSON is told of as it is without a choice of fields', async () => {
  const keep = { fields: ['transactionIndex'], blooms: 'all' } as const
  const cut = await answered((body) => ({ body: body.subarray(0, -1_000) }), { ...call, keep })
  expect(cut.error).toContain('the answer ended early')
  const spoilt = await answered((body) => ({ body: body.fill('7', 0, 1) }), { ...call, keep })
  expect(spoilt.error).toContain('HTTP 200')
})

test.each<[string, (body: Buffer) => Buffer, string, Record<string, string>?]>([
  ['ends early', (body) => body.subarray(0, -1_000), 'the answer ended early'],
  ['is no UTF-8', (body) => (body.fill(0xff, 2_000_000, 2_000_001), body), 'its bytes are no UTF-8'],
  [
    'is unpacked to nothing',
    (body) => (body.fill(7, 1_500_000), body),
    'gzip body: incorrect header check',
    { 'content-encoding': 'gzip' },
  ],
])('a long answer that %s is told by name', async (_, spoil, problem, headers) => {
  const { error } = await answered((body) => ({ body: spoil(body), headers }))
  expect(error).toContain(problem)
})

/** Of one receipt a field of the node's own holds this, in an answer of so many. */
const broken = (value: string | Buffer, count: number) => {
  const [first, ...others] = receipts.slice(0, count).map((one) => JSON.stringify(one))
  return (whole: Buffer) => {
    const [beginning = ''] = /^.*?\[/.exec(whole.subarray(0, 100).toString()) ?? []
    const head = Buffer.from(`${beginning}${String(first).slice(0, -1)},"own":`)
    return { body: Buffer.concat([head, Buffer.from(value as string), Buffer.from(`},${others.join()}]}`)]) }
  }
}

test.each<[string, string | Buffer]>([
  ['a number that JavaScript rounds', '90071992547409930001'],
  ['what is no JSON', '0x10'],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
])('%s is judged where the asker looks at it, in long answers as in short ones, and nowhere else', async (_, value) => {
  const ask = (fields: readonly string[], count: number) =>
    answered(broken(value, count), { ...call, keep: { fields, blooms: 'unexplained' } })
  for (const count of [10, receipts.length]) {
    const [unseen, seen] = [await ask(['transactionIndex', 'logs'], count), await ask(['transactionIndex', 'logs', 'own'], count)]
    const indexes = Array.from(unseen.value as Iterable<(typeof receipts)[number]>, ({ transactionIndex }) => transactionIndex)
    expect([unseen.error, indexes]).toEqual([undefined, receipts.slice(0, count).map(({ transactionIndex }) => transactionIndex)])
    expect([seen.value, typeof seen.error]).toEqual([undefined, 'string'])
  }
  // Without a choice everything is looked at.
  expect((await answered(broken(value, 10))).value).toBeUndefined()
})
