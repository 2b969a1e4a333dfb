/** A block param, read but not resolved: `offset` is added to what it names. */
export type BlockExpression =
  | { readonly kind: 'number'; readonly block: bigint }
  | { readonly kind: 'head' | 'safe' | 'covered'; readonly offset: bigint }
  | { readonly kind: 'param'; readonly name: string; readonly offset: bigint }

/** What the moving words stand for. */
export interface Words {
  head(): Promise<bigint>
  safe(): Promise<bigint>
  /** The first block after what is covered; undefined when nothing is. */
  covered(): Promise<bigint | undefined>
}

/** What a block param may be beside a number and another param. */
export const BLOCK_WORDS: readonly string[] = ['head', 'safe', 'covered']

const LAST_BLOCK = BigInt(Number.MAX_SAFE_INTEGER)
const TAGS: Readonly<Record<string, string>> = { earliest: '0', pending: 'head', finalized: 'safe' }

/** Reads `18000000`, `head`, `head-10`, `safe`, `covered`, `to-999`, `from+10`. */
export function parseBlock(text: string): BlockExpression | { readonly problem: string } {
  const plain = text.trim()
  if (/^\d+$/.test(plain)) {
    const block = BigInt(plain.slice(0, 30))
    return plain.length > 30 || block > LAST_BLOCK
      ? { problem: `${plain.slice(0, 40)} is no block number: at most ${LAST_BLOCK}` }
      : { kind: 'number', block }
  }
  if (/^0x/i.test(plain)) return { problem: `block numbers are decimal here (is ${JSON.stringify(plain)})` }
  if (/^-\s*\d/.test(plain)) return { problem: `a block number can't be negative (is ${plain}): write head-N to count from the head` }
  const match = /^\$?([A-Za-z_]\w*)(?:\s*([+-])\s*(\d{1,16}))?$/.exec(plain)
  const word = match?.[1]
  if (!match || word === undefined) {
    return {
      problem: `must be a block: a number, head, head-10, safe, covered, or a block param plus or minus a number (is ${JSON.stringify(plain.slice(0, 80))})`,
    }
  }
  const offset = BigInt(`${match[2] ?? ''}${match[3] ?? '0'}`)
  if (word === 'latest') return { problem: 'latest moves while it is read: write head (or head-10) for the head at the start of the run' }
  if (Object.hasOwn(TAGS, word)) return { problem: `${word} is no block here: write ${TAGS[word]}` }
  if (word !== 'head' && word !== 'safe' && word !== 'covered') return { kind: 'param', name: word, offset }
  if (word === 'head' && offset > 0n) return { problem: `${plain} lies after the head: there is no such block yet` }
  if (word !== 'head' && match[2] !== undefined)
    return { problem: `${word} takes no ${match[2]}${match[3]}: only head and block params do` }
  return { kind: word, offset }
}

/**
 * The block of each expression, never below 0. Expressions must not refer to each other in a circle. The words are asked
 * only where an expression needs them. `covered` lies at most one above the newest block that moves with the head among them, so
 * that a range asks for nothing, and is not reversed, while a head is behind what is covered; while nothing is covered, it is that block.
 */
export async function resolveBlocks(expressions: ReadonlyMap<string, BlockExpression>, words: Words): Promise<ReadonlyMap<string, bigint>> {
  const blocks = new Map<string, bigint>()
  const resolve = async (name: string): Promise<bigint | undefined> => {
    const known = blocks.get(name)
    const expression = expressions.get(name)
    if (known !== undefined || !expression) return known
    const block = await blockOf(expression, words, resolve, covered)
    if (block !== undefined) blocks.set(name, block < 0n ? 0n : block)
    return blocks.get(name)
  }
  const movesWithHead = (name: string): boolean => {
    const expression = expressions.get(name)
    if (expression?.kind === 'param') return movesWithHead(expression.name)
    return expression?.kind === 'head' || expression?.kind === 'safe'
  }
  const covered = async (): Promise<bigint> => {
    let newest: bigint | undefined
    for (const name of expressions.keys()) {
      const block = movesWithHead(name) ? await resolve(name) : undefined
      if (block !== undefined && (newest === undefined || block > newest)) newest = block
    }
    const next = await words.covered()
    if (next === undefined) return newest ?? words.head()
    return newest === undefined || next <= newest ? next : newest + 1n
  }
  for (const name of expressions.keys()) await resolve(name)
  return blocks
}

async function blockOf(
  expression: BlockExpression,
  words: Words,
  resolve: (name: string) => Promise<bigint | undefined>,
  covered: () => Promise<bigint>,
): Promise<bigint | undefined> {
  switch (expression.kind) {
    case 'number':
      return expression.block
    case 'param': {
      const base = await resolve(expression.name)
      return base === undefined ? undefined : base + expression.offset
    }
    case 'head':
      return (await words.head()) + expression.offset
    case 'safe':
      return words.safe()
    case 'covered':
      return covered()
  }
}
