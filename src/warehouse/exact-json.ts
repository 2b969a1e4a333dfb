import type { Json } from '../sdk/index.js'

/** Parses JSON; integers that a JavaScript number would round become text. */
export function exactJson(text: string): Json {
  const safe = /\d{16}/.test(text)
    ? text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
        /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token,
      )
    : text
  return JSON.parse(safe) as Json
}
