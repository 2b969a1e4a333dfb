/** A text with `${…}` in it, taken apart. */
export type Template = readonly (string | Variable)[]

/** `${NAME}`, `${NAME:-fallback}` or `${NAME:?message}`. */
export interface Variable {
  readonly name: string
  readonly fallback: Template | undefined
  readonly message: string | undefined
}

export interface TemplateProblem {
  readonly message: string
  readonly hint: string
  /** Of the `${`, from the start of the text. */
  readonly offset: number
}

const MAX_NESTING = 20

/** Takes a text apart. A default may hold further `${…}`; the text of a message is taken as it stands. */
export function parseTemplate(text: string): Template | TemplateProblem {
  try {
    return new Reader(text).template(undefined, 0)
  } catch (error) {
    if (error instanceof TemplateError) return error.problem
    throw error
  }
}

export function isTemplateProblem(parsed: Template | TemplateProblem): parsed is TemplateProblem {
  return !Array.isArray(parsed)
}

class TemplateError extends Error {
  constructor(readonly problem: TemplateProblem) {
    super(problem.message)
  }
}

class Reader {
  #at = 0
  constructor(readonly text: string) {}

  /** Up to the end of the text, or the `}` that belongs to the `${` at `opened`. */
  template(opened: number | undefined, depth: number): Template {
    const parts: (string | Variable)[] = []
    let start = this.#at
    const flush = (): void => {
      if (this.#at > start) parts.push(this.text.slice(start, this.#at))
    }
    while (this.#at < this.text.length) {
      if (opened !== undefined && this.text[this.#at] === '}') {
        flush()
        this.#at++
        return parts
      }
      if (this.text.startsWith('${', this.#at)) {
        flush()
        parts.push(this.#variable(depth + 1))
        start = this.#at
      } else {
        this.#at++
      }
    }
    if (opened !== undefined)
      this.#fail(opened, '`${` is never closed', 'close it with `}`; ` #` begins a comment, so quote a value that holds one')
    flush()
    return parts
  }

  #variable(depth: number): Variable {
    const opened = this.#at
    if (depth > MAX_NESTING) this.#fail(opened, `\`\${\` is nested deeper than ${MAX_NESTING}`, 'use fewer defaults inside defaults')
    this.#at += 2
    const name = /[A-Za-z_][A-Za-z0-9_]*/y
    name.lastIndex = this.#at
    const found = name.exec(this.text)?.[0]
    if (found === undefined) {
      const closed = this.text.includes('}', this.#at)
      this.#fail(
        opened,
        closed ? '`${` wants the name of an environment variable' : '`${` is never closed',
        'write ${NAME}, ${NAME:-default} or ${NAME:?message}',
      )
    }
    this.#at += found.length
    if (this.text[this.#at] === '}') {
      this.#at++
      return { name: found, fallback: undefined, message: undefined }
    }
    const form = this.text.slice(this.#at, this.#at + 2)
    if (form === ':-') {
      this.#at += 2
      return { name: found, fallback: this.template(opened, depth), message: undefined }
    }
    if (form === ':?') {
      this.#at += 2
      return { name: found, fallback: undefined, message: this.#message(opened) }
    }
    const closed = this.text.includes('}', this.#at)
    this.#fail(
      opened,
      closed ? `\`\${${found}\` is followed by \`${this.text[this.#at] ?? ''}\`` : '`${` is never closed',
      `write \${${found}}, \${${found}:-default} or \${${found}:?message}`,
    )
  }

  #message(opened: number): string {
    const start = this.#at
    for (let open = 1; this.#at < this.text.length; this.#at++) {
      if (this.text.startsWith('${', this.#at)) open++
      else if (this.text[this.#at] === '}' && --open === 0) return this.text.slice(start, this.#at++).trim()
    }
    this.#fail(opened, '`${` is never closed', 'close it with `}`; ` #` begins a comment, so quote a value that holds one')
  }

  #fail(offset: number, message: string, hint: string): never {
    throw new TemplateError({ message, hint, offset })
  }
}

/** What a template comes to. */
export interface Filled {
  readonly text: string
  /** Variables whose value is part of the text. */
  readonly used: readonly string[]
  readonly missing: readonly { readonly name: string; readonly message: string | undefined; readonly empty: boolean }[]
}

/** Puts values in, once: what a value holds is never read again. An empty variable counts as missing. */
export function fillTemplate(template: Template, env: Readonly<Record<string, string | undefined>>): Filled {
  let text = ''
  const used: string[] = []
  const missing: { name: string; message: string | undefined; empty: boolean }[] = []
  for (const part of template) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const value = Object.hasOwn(env, part.name) ? env[part.name] : undefined
    if (value !== undefined && value !== '') {
      text += value
      used.push(part.name)
    } else if (part.fallback) {
      const filled = fillTemplate(part.fallback, env)
      text += filled.text
      used.push(...filled.used)
      missing.push(...filled.missing)
    } else {
      missing.push({ name: part.name, message: part.message, empty: value === '' })
    }
  }
  return { text, used, missing }
}
