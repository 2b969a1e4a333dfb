import { createRequire } from 'node:module'
import { counted } from '../counted.js'
import { PipeError } from '../errors.js'
import { AbiData, type AbiType, type AbiValue, compileType, lowerHex, type TypeReader, Unfit, UnknownTypeError } from './decode.js'
import { textFault } from './text-fault.js'

/** A text is no event that logs can be read by. */
export class AbiTextError extends PipeError {
  readonly code = 'ABI_TEXT'
  constructor(
    text: string,
    readonly problem: string,
    override readonly hint = 'write it as in Solidity: Transfer(address indexed from, address indexed to, uint256 value)',
  ) {
    super(`event ${text}: ${problem}`)
  }
}

/** An input of an event. */
export interface EventInput extends AbiType {
  /** What `args` has it by: its name, or its position from 0. */
  readonly key: string
  readonly indexed: boolean
}

/** A log by its event: `args` by the keys of its inputs, or why it is none of this event. */
export type DecodedLog =
  | { readonly args: Readonly<Record<string, AbiValue>>; readonly misfit?: undefined }
  | { readonly args?: undefined; readonly misfit: string }

/** An event, and the decoder that was made for it. */
export interface EventDecoder {
  readonly name: string
  readonly inputs: readonly EventInput[]
  /** The hash of its signature as lower-case hex: the first topic of its logs. Undefined for an anonymous event. */
  readonly topic0: string | undefined
  /**
   * Reads a log of `0x` texts. Integers are bigint, addresses and bytes lower-case hex, lists arrays, tuples objects by name (arrays
   * where a part has none). Of an indexed text, list or tuple a log has the hash, and so have `args`.
   *
   * What fits is what viem's strict `decodeEventLog` takes. A log does not fit with fewer topics than its event has, with data that
   * ends too early, points outside of itself or holds itself very often, a bool that is neither 0 nor 1, an integer of up to 48 bits
   * that is beyond 2^53. It fits with bytes behind its data, and with bits outside of an address or a longer integer. Stricter than
   * viem is this: a log with more topics than the event has does not fit, and no place is read twice where the data is too short.
   */
  decode(topics: readonly string[], data: string): DecodedLog
}

interface AbiItem {
  readonly name: string
  readonly inputs: readonly (AbiType & { readonly indexed?: boolean })[]
}

/**
 * The event of an ABI text: `Transfer(address indexed from, address indexed to, uint256 value)`, at will with `event` before it and
 * `anonymous` behind it.
 *
 * @throws {AbiTextError}
 */
export function event(text: string): EventDecoder {
  const item = parseItem(text)
  const anonymous = ANONYMOUS.test(oneLine(text))
  const inputs = item.inputs.map((input, i): EventInput => ({ ...input, key: input.name ?? String(i), indexed: input.indexed === true }))
  checkInputs(text, inputs, anonymous)
  let topic0: string | undefined
  const selector = (): string | undefined => (anonymous ? undefined : (topic0 ??= load<Viem>('viem/utils').toEventSelector(item)))
  return {
    name: item.name,
    inputs,
    get topic0() {
      return selector()
    },
    decode: decoderOf(inputs, selector, anonymous ? 0 : 1),
  }
}

/** It may be written over several lines. */
const oneLine = (text: string) => text.trim().replace(/\s+/g, ' ')
const ANONYMOUS = /\) ?anonymous ?;?$/

function parseItem(text: string): AbiItem {
  const plain = oneLine(text)
    .replace(ANONYMOUS, ')')
    .replace(/^event | ?;$/g, '')
    .replace(/^(\S+) \(/, '$1(')
  try {
    return load<Abitype>('abitype').parseAbiItem(`event ${plain}`)
  } catch (error) {
    const fault = textFault(text, 'event')
    if (fault)
      throw new AbiTextError(text, fault.problem, fault.hint && `${fault.hint}; as in: Transfer(address indexed from, uint256 value)`)
    const [first = '', , second = ''] = (error as Error).message.split('\n')
    throw new AbiTextError(text, second === '' || second.startsWith('Details:') ? first : `${first} ${second}`)
  }
}

function checkInputs(text: string, inputs: readonly EventInput[], anonymous: boolean): void {
  const indexed = inputs.filter((input) => input.indexed).length
  const most = anonymous ? 4 : 3
  if (indexed > most)
    throw new AbiTextError(text, `has ${indexed} indexed inputs, and a log holds ${most}`, 'take `indexed` from some of them')
  const another = 'give it another name: names are no part of the signature'
  for (const [i, { key }] of inputs.entries())
    if (inputs.findIndex((other) => other.key === key) < i) throw new AbiTextError(text, `has two inputs ${key}`, another)
  if (hasName(inputs, '__proto__')) throw new AbiTextError(text, 'has an input __proto__', another)
  try {
    inputs.forEach(compileType)
  } catch (error) {
    throw error instanceof UnknownTypeError ? new AbiTextError(text, error.message) : error
  }
}

function hasName(types: readonly AbiType[], wanted: string): boolean {
  return types.some(({ name, components = [] }) => name === wanted || hasName(components, wanted))
}

/** @param selector The hash that the first topic must be. @param first Where the topics of inputs begin. */
function decoderOf(inputs: readonly EventInput[], selector: () => string | undefined, first: number): EventDecoder['decode'] {
  let topicCount = first
  let head = 0
  // In the order of the inputs, so that the objects of all logs are alike.
  const readers = inputs.map(({ key, indexed, ...type }) => {
    const reader = compileType(type)
    const at = indexed ? topicCount++ : head
    if (!indexed) head += reader.head
    return { key, indexed, at, reader }
  })

  return (topics, data) => {
    if (topics.length !== topicCount) return { misfit: `${counted(topics.length, 'topics')} instead of ${topicCount}` }
    if (first === 1 && topics[0] !== selector() && topics[0]?.toLowerCase() !== selector())
      return { misfit: 'the first topic is that of another event' }
    let reading = ''
    try {
      const source = head > 0 ? new AbiData(data) : undefined
      const args: Record<string, AbiValue> = {}
      for (const { key, indexed, at, reader } of readers) {
        reading = key
        // Something is not indexed, so there is data.
        args[key] = indexed ? readTopic(topics[at] as string, reader) : reader.read(source as AbiData, at, 0)
      }
      return { args }
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      return { misfit: reading === '' ? error.message : `${reading}: ${error.message}` }
    }
  }
}

/** What is more than a word has its hash there. */
function readTopic(topic: string, { ofWord }: TypeReader): AbiValue {
  const hex = lowerHex(topic)
  if (hex?.length !== 66) throw new Unfit('its topic is no 32 bytes')
  return ofWord ? ofWord(hex, 2) : hex
}

interface Abitype {
  parseAbiItem(text: string): AbiItem
}

interface Viem {
  toEventSelector(item: AbiItem): string
}

/** Loaded when the first text is read: most pipelines have none, and these take a while to load. */
function load<Library>(name: 'abitype' | 'viem/utils'): Library {
  // The cast holds for what their documentation says; `require` gives no types.
  return createRequire(import.meta.url)(name) as Library
}
