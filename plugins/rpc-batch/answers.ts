import type { PipeError, RpcAnswers, RpcCall } from '../../src/sdk/authors.js'

export interface Answer {
  value: unknown
  error: PipeError | undefined
  asking: Promise<unknown> | undefined
}

/** Short answers that a unit keeps for items further on, the latest ones used. */
const KEPT = 512
/** Characters of a short answer. A longer one, and what is no text, is forgotten with the group that asked for it. */
const SHORT = 256

/**
 * Answers of one unit. Where items share calls (N's balance after is N+1's before), a call is asked once as long as it
 * is on its way, and longer where it is short and among the latest. So a unit of any size keeps no more than another.
 */
export class Answers {
  /** Of calls on their way, and those of earlier ones that are kept, the latest used at the end. */
  readonly #asking = new Map<string, Answer>()
  readonly #kept = new Map<string, Answer>()
  readonly #shared: boolean
  readonly #fresh: { readonly key: string; readonly answer: Answer }[] = []

  constructor(shared: boolean) {
    this.#shared = shared
  }

  /** Where a call's answer will be: an index of what is asked now, or a place shared with others. A call whose answer is not known is added to `asked`. */
  take(call: RpcCall, asked: RpcCall[]): number | Answer {
    if (!this.#shared) return asked.push(call) - 1
    const key = call.method + JSON.stringify(call.params)
    const known = this.#asking.get(key) ?? this.#kept.get(key)
    if (known) {
      if (this.#kept.delete(key)) this.#kept.set(key, known)
      return known
    }
    const answer: Answer = { value: undefined, error: undefined, asking: undefined }
    this.#asking.set(key, answer)
    asked.push(call)
    this.#fresh.push({ key, answer })
    return answer
  }

  /** Asks what `take` added since the last time. */
  ask(asked: readonly RpcCall[], send: () => Promise<RpcAnswers>): Promise<RpcAnswers> {
    if (!this.#shared) return send()
    const answers = this.#fresh.splice(0, asked.length)
    const asking = send().then((found) => {
      answers.forEach(({ key, answer }, i) => {
        answer.value = found.values[i]
        answer.error = found.errors?.get(i)
        answer.asking = undefined
        this.#asking.delete(key)
        if (isShort(answer)) this.#kept.set(key, answer)
      })
      for (const key of this.#kept.keys()) {
        if (this.#kept.size <= KEPT) break
        this.#kept.delete(key)
      }
      return found
    })
    for (const { answer } of answers) answer.asking = asking
    return asking
  }

  async settled(places: readonly (number | Answer | undefined)[]): Promise<void> {
    if (!this.#shared) return
    let waiting: Promise<unknown> | undefined
    for (const place of places) {
      if (typeof place === 'object' && place.asking && place.asking !== waiting) await (waiting = place.asking)
    }
  }
}

function isShort({ value }: Answer): boolean {
  return typeof value === 'string' && value.length <= SHORT
}
