import type { TSchema, Static } from '@sinclair/typebox'
import type { Context } from 'hono'
import { parseDocument } from 'yaml'
import { isDeep } from '../net/json-depth.js'
import { Ajv2020 } from '../registry/ajv.js'
import { Refusal } from './refusal.js'

/** Our bodies are flat: a few params and names. */
export const MOST_BYTES = 64 * 1024
const DEPTH = 8

const ajv = new Ajv2020({ allErrors: true, strict: false })

/**
 * The body of a request, as its schema has it. Only JSON is taken: a form of a web page can't send that without asking first.
 *
 * @throws {Refusal}
 */
export async function bodyOf<T extends TSchema>(c: Context, schema: T): Promise<Static<T>> {
  const type = (c.req.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new Refusal(415, 'JSON_ONLY', 'only JSON is taken', 'send it with the header Content-Type: application/json')
  const value = parse(textOf(await bytesOf(c)))
  if (!ajv.validate(schema, value))
    throw new Refusal(422, 'BODY_WRONG', `the body is not as it must be: ${ajv.errorsText(ajv.errors, { dataVar: 'body' })}`)
  // What the schema says.
  return value as Static<T>
}

/** Stops reading where it is too much, whatever its length was said to be. */
async function bytesOf(c: Context): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const part of c.req.raw.body ?? []) {
      size += part.byteLength
      if (size > MOST_BYTES) throw new Refusal(413, 'BODY_TOO_LARGE', `the body is larger than ${MOST_BYTES} bytes`)
      parts.push(part)
    }
  } catch (error) {
    // Whoever asked is gone, or was too slow: no mistake of ours.
    throw error instanceof Refusal ? error : new Refusal(400, 'BODY_UNREADABLE', 'the body ended before its end')
  }
  return Buffer.concat(parts)
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Refusal(400, 'BODY_UNREADABLE', 'the body is not UTF-8')
  }
}

function parse(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Refusal(400, 'BODY_UNREADABLE', 'the body is no JSON')
  }
  if (isDeep(value, DEPTH)) throw new Refusal(400, 'BODY_UNREADABLE', `the body is nested deeper than ${DEPTH} levels`)
  // JSON.parse takes the last of two in silence.
  if (parseDocument(text, { uniqueKeys: true }).errors.some(({ code }) => code === 'DUPLICATE_KEY'))
    throw new Refusal(400, 'BODY_UNREADABLE', 'a key of the body is there twice')
  return value
}
