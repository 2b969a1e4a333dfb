import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtIn } from '../plugins/index.js'
import { fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'

let node: FakeEndpoint
beforeAll(async () => {
  node = await fakeChain({ seed: 2, blocks: 120 }).serve()
})
afterAll(() => node.close())

describe('the example of a step type', () => {
  // Those with a REST source are run beside the fake one of their own.
  it.each(builtIn.filter(({ example }) => !example.includes('\nsources:')).map(({ type, example }) => ({ type, example })))(
    'of $type is a right pipeline, runs on the sandbox, and once more does nothing',
    async ({ example }) => {
      const world = { cwd: temporaryFolder(), env: { ETH_RPC_URL: node.url } }
      const file = join(world.cwd, 'example.yaml')
      writeFileSync(file, example)
      expect(await pipe(['validate', file], world)).toMatchObject({ code: 0, err: '' })
      expect(await pipe(['run', file], world)).toMatchObject({ code: 0 })
      expect(await pipe(['plan', '--detailed-exitcode', file], world)).toMatchObject({ code: 0 })
    },
  )
})
