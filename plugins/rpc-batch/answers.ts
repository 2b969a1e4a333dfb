import type { PipeError, RpcAnswers, RpcCall } from '../../src/sdk/authors.js'

export interface Answer {
  value: unknown
  error: PipeError | undefined
  asking: Promise<unknown> | undefined
}

/** Answers of one unit. Where items share calls (N's balance after is N+1's before), each is asked once. */
export class Answers {
  readonly #known: Map<string, Answer> | undefined
  readonly #fresh: Answer[] = []

  constructor(shared: boolean) {
    this.#known = shared ? new Map() : undefined
  }

  /** Where a call's answer will be: an index of what is asked now, or a place shared with others. A call that was not asked before is added to `asked`. */
  take(call: RpcCall, asked: RpcCall[]): number | Answer {
    if (!this.#known) return asked.push(call) - 1
    const key = call.method + JSON.stringify(call.params)
    const known = this.#known.get(key)
    if (known) return known
    const answer: Answer = { value: undefined, error: undefined, asking: undefined }
    this.#known.set(key, answer)
    asked.push(call)
    this.#fresh.push(answer)
    return answer
  }

  /** Asks what `take` added since the last time. */
  ask(asked: readonly RpcCall[], send: () => Promise<RpcAnswers>): Promise<RpcAnswers> {
    if (!this.#known) return send()
    const answers = this.#fresh.splice(0, asked.length)
    const asking = send().then((found) => {
      answers.forEach((answer, i) => {
        answer.value = found.values[i]
        answer.error = found.errors?.get(i)
        answer.asking = undefined
      })
      return found
    })
    for (const answer of answers) answer.asking = asking
    return asking
  }

  async settled(places: readonly (number | Answer | undefined)[]): Promise<void> {
    if (!this.#known) return
    let waiting: Promise<unknown> | undefined
    for (const place of places) {
      if (typeof place === 'object' && place.asking && place.asking !== waiting) await (waiting = place.asking)
    }
  }
}
