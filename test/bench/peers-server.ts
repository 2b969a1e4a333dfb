import { answerCall } from '../../src/sandbox/methods.js'
import { dialects } from '../../src/sandbox/wordings.js'
import { answering } from './answering.js'
import { peersChain } from './peers-world.js'

/**
 * A node for goal G5. On any message it says what it was asked since the one before: when the first call came (milliseconds of
 * `Date.now`), and how many there were.
 */
export interface Asked {
  readonly first: number
  readonly calls: number
}

const source = peersChain()
const view = { source, head: source.head, chainId: source.chainId, dialect: dialects.geth, archiveFrom: 0n, methods: {} }
let asked: Asked = { first: 0, calls: 0 }

answering(({ method, params }) => {
  asked = { first: asked.first || Date.now(), calls: asked.calls + 1 }
  return answerCall(view, method, params)
})
process.on('message', () => {
  process.send?.(asked)
  asked = { first: 0, calls: 0 }
})
