/** A server-sent event. */
export interface Told {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** The server says something each 15 seconds; a connection that is silent for longer is dead. */
const SILENT_MS = 25_000

/** Reads server-sent events until the stream ends. @throws when it breaks, or is silent for too long. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Told> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  try {
    for (;;) {
      const { value, done } = await inTime(reader.read())
      if (done) return
      text += decoder.decode(value, { stream: true })
      const parts = text.split('\n\n')
      text = parts.pop() ?? ''
      for (const part of parts) {
        const told = eventOf(part)
        if (told) yield told
      }
    }
  } finally {
    reader.cancel().catch(() => undefined)
  }
}

/** One event by its lines; undefined for a comment. */
export function eventOf(part: string): Told | undefined {
  const fields = part.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line))
  const of = (name: string) => fields.filter((field) => field?.[1] === name).map((field) => field?.[2] ?? '')
  const data = of('data')
  return data.length === 0 ? undefined : { id: of('id').at(-1), event: of('event').at(-1) ?? 'message', data: data.join('\n') }
}

function inTime<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the connection is silent')), SILENT_MS)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
