import { writeFileSync } from 'node:fs'
import { createServer as createProxy } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { atEnd } from './support/cleanup.js'
import { temporaryFolder } from './support/folder.js'
import { spawnPipe } from './support/spawn-pipe.js'

/** Of node.internal.test, which no name server knows; signed by itself, from 2020 to 2120. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBjjCCATWgAwIBAgIUTkLhq4SP/0421xj1MXkrBmKtHogwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSbm9kZS5pbnRlcm5hbC50ZXN0MCAXDTIwMDEwMTAwMDAwMFoY
DzIxMjAwMTAxMDAwMDAwWjAdMRswGQYDVQQDDBJub2RlLmludGVybmFsLnRlc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQG+gfesWJLxWJOfSk6LPS6HYBW3LJw
s4dqh0PeqxGite15mJXmg4Xik9FzezfEvwV/4jqSL0UEyz+c8hhDvS2Ro1EwTzAP
BgNVHRMBAf8EBTADAQH/MB0GA1UdEQQWMBSCEm5vZGUuaW50ZXJuYWwudGVzdDAd
BgNVHQ4EFgQUNR9s1eLJg9YX2nDCp9m+tZubjpAwCgYIKoZIzj0EAwIDRwAwRAIg
c8y6JuLPkQ2h9uq6NQhrUBQQsDXvz1Ki4BRk18LXSx8CIE7ufMWgj96HiQ1jc9ap
TOSZ28tzUE8dFrF1Wj5vNXGy
-----END CERTIFICATE-----`
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJv76bCgctnSYl/eN
7Sb+7vJMeeoZ7YYHBPqJsUjsKKChRANCAAQG+gfesWJLxWJOfSk6LPS6HYBW3LJw
s4dqh0PeqxGite15mJXmg4Xik9FzezfEvwV/4jqSL0UEyz+c8hhDvS2R
-----END PRIVATE KEY-----`

const PIPELINE = `
name: proxied
warehouse: duckdb:out.duckdb
chains:
  mine: { id: 31337, block_time: 2s, rpc: "https://node.internal.test/v1" }
tables:
  blocks: { columns: { number: bigint, hash: hash }, key: [number] }
steps:
  - id: blocks
    type: rpc-batch
    chain: mine
    into: blocks
    with:
      over: { blocks: { from: 0, to: 9 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash }
`

interface Asked {
  readonly id: number
  readonly method: string
  readonly params: readonly string[]
}

const answer = ({ id, method, params }: Asked) => ({
  jsonrpc: '2.0',
  id,
  result:
    method === 'eth_chainId'
      ? '0x7a69'
      : method === 'eth_blockNumber'
        ? '0x3e8'
        : {
            number: params[0],
            hash: `0x${BigInt(params[0] ?? 0)
              .toString(16)
              .padStart(64, '0')}`,
          },
})

const listening = (server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))

test('a node behind TLS that only a proxy knows is read through it, and its login is shown nowhere', async () => {
  const node = createServer({ key: KEY, cert: CERTIFICATE }, (request, response) => {
    let text = ''
    request.on('data', (part: Buffer) => (text += part.toString()))
    request.on('end', () => {
      const asked = JSON.parse(text) as Asked | Asked[]
      response.end(JSON.stringify(Array.isArray(asked) ? asked.map(answer) : answer(asked)))
    })
  })
  const port = await listening(node)
  const tunnels: string[] = []
  const proxy = createProxy().on('connect', (request, socket: Socket) => {
    const login = Buffer.from((request.headers['proxy-authorization'] ?? '').slice(6), 'base64').toString()
    tunnels.push(`${request.url} ${login}`)
    socket.on('error', () => undefined)
    if (login !== 'me:open sesame') return void socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n')
    const up = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      up.pipe(socket).pipe(up)
    })
    up.on('error', () => socket.destroy())
  })
  const proxyPort = await listening(proxy)
  atEnd(() => {
    node.close()
    node.closeAllConnections()
    proxy.close()
    proxy.closeAllConnections()
  })
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'pipeline.yaml'), PIPELINE)
  writeFileSync(join(cwd, 'ca.pem'), CERTIFICATE)
  const run = (login: string) =>
    spawnPipe(['run', 'pipeline.yaml'], {
      cwd,
      env: { HTTPS_PROXY: `http://${login}@127.0.0.1:${proxyPort}`, NODE_EXTRA_CA_CERTS: join(cwd, 'ca.pem') },
    }).exit

  const refused = await run('me:close%20sesame')
  expect([refused.code, refused.stdout]).toEqual([
    1,
    expect.stringContaining(`node.internal.test (the proxy http://127.0.0.1:${proxyPort} refused: HTTP 407`),
  ])
  expect(refused.stdout + refused.stderr).not.toMatch(/sesame|bWU6/)

  const done = await run('me:open%20sesame')
  expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('10 of 10 blocks, 10 rows into blocks')])
  expect(done.stdout + done.stderr).not.toContain('sesame')
  expect(new Set(tunnels)).toEqual(new Set(['node.internal.test:443 me:close sesame', 'node.internal.test:443 me:open sesame']))
}, 60_000)
