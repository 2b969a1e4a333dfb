import { expect, test } from 'vitest'
import { readBody } from './reply.js'

const read = (text: string, type = 'application/json') =>
  readBody({ kind: 'reply', status: 200, headers: { 'content-type': type }, text, bytes: text.length })

test.each(['application/json', 'application/x-ndjson'])('a reply in %s that is nested too deep is told by name', (type) => {
  for (const levels of [2_501, 8_000, 1_000_000])
    expect(read('['.repeat(levels) + ']'.repeat(levels), type)).toEqual({
      kind: 'broken',
      text: 'the reply is nested too deep (more than 2500 levels)',
    })
})
