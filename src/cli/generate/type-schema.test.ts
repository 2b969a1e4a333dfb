import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { typeSchemas } from './type-schema.js'

test('a type becomes the schema of what JSON.stringify writes of its values', () => {
  const root = mkdtempSync(join(tmpdir(), 'pipe-types-'))
  writeFileSync(join(root, 'tsconfig.json'), '{ "compilerOptions": { "strict": true, "target": "ES2023" } }')
  writeFileSync(
    join(root, 'shapes.ts'),
    `export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
     type Fact = { readonly type: 'b'; readonly at: bigint } | { readonly type: 'a'; readonly pair: readonly [number, string] }
     export type Shape = { readonly run: string } & Fact
     export interface Other {
       /** How many. */
       readonly count: number | null
       readonly word: 'late' | 'early'
       readonly maybe?: boolean
       readonly orNot: string | undefined
       readonly names: Readonly<Record<string, readonly number[]>>
       readonly anything: Json
     }`,
  )
  const schemas = typeSchemas(root, [
    { file: 'shapes.ts', type: 'Shape', title: 'Shapes' },
    { file: 'shapes.ts', type: 'Other', title: 'Others' },
  ])
  rmSync(root, { recursive: true })
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  expect(schemas).toEqual([
    {
      $schema,
      title: 'Shapes',
      anyOf: [
        {
          type: 'object',
          properties: {
            run: { type: 'string' },
            type: { const: 'a' },
            pair: { type: 'array', prefixItems: [{ type: 'number' }, { type: 'string' }], minItems: 2, maxItems: 2 },
          },
          required: ['run', 'type', 'pair'],
          additionalProperties: false,
        },
        {
          type: 'object',
          properties: { run: { type: 'string' }, type: { const: 'b' }, at: { type: 'string', pattern: '^-?[0-9]+$' } },
          required: ['run', 'type', 'at'],
          additionalProperties: false,
        },
      ],
    },
    {
      $schema,
      title: 'Others',
      type: 'object',
      properties: {
        count: { description: 'How many.', type: ['null', 'number'] },
        word: { enum: ['early', 'late'] },
        maybe: { type: 'boolean' },
        orNot: { type: 'string' },
        names: { type: 'object', additionalProperties: { type: 'array', items: { type: 'number' } } },
        anything: {},
      },
      required: ['count', 'word', 'names', 'anything'],
      additionalProperties: false,
    },
  ])
})
