import { describe, expect, test } from 'vitest'
import { fillTemplate, isTemplateProblem, parseTemplate } from './template.js'

function fill(text: string, env: Record<string, string>) {
  const template = parseTemplate(text)
  return isTemplateProblem(template) ? template.message : fillTemplate(template, env)
}

describe('a text with variables', () => {
  test.each<[string, Record<string, string>, string]>([
    ['${A}', { A: 'x' }, 'x'],
    ['http://${HOST}/${KEY}', { HOST: 'h', KEY: 'k' }, 'http://h/k'],
    ['${A:-x y}', {}, 'x y'],
    ['${A:-x}', { A: '' }, 'x'],
    ['${A:-}', {}, ''],
    ['${A:-${B:-c}}', {}, 'c'],
    ['${A:-${B:-c}}', { B: 'b' }, 'b'],
    ['${A:-1}${A:-2}', {}, '12'],
    ['${A:?say {why}}', { A: 'x' }, 'x}'],
    ['$A and $$ and {A}', { A: 'x' }, '$A and $$ and {A}'],
  ])('%s with %j is %s', (text, env, expected) => {
    expect(fill(text, env)).toMatchObject({ text: expected, missing: [] })
  })

  test('what a value holds is never read again', () => {
    expect(fill('${A}', { A: '${B} ${A:-x}', B: 'secret' })).toEqual({ text: '${B} ${A:-x}', used: ['A'], missing: [] })
  })

  test('names that every object has are not variables', () => {
    expect(fill('${constructor}', {})).toEqual({ text: '', used: [], missing: [{ name: 'constructor', message: undefined, empty: false }] })
  })

  test('a missing variable is named with its message; an empty one is missing too', () => {
    expect(fill('${A:?set it} ${B}', { B: '' })).toMatchObject({
      missing: [
        { name: 'A', message: 'set it', empty: false },
        { name: 'B', message: undefined, empty: true },
      ],
    })
  })

  test.each([
    ['${A', '`${` is never closed'],
    ['${', '`${` is never closed'],
    ['${A:-${B}', '`${` is never closed'],
    ['${A:?x', '`${` is never closed'],
    ['${}', '`${` wants the name of an environment variable'],
    ['${{ A }}', '`${` wants the name of an environment variable'],
    ['${1}', '`${` wants the name of an environment variable'],
    ['${A-x}', '`${A` is followed by `-`'],
    ['${A:=x}', '`${A` is followed by `:`'],
  ])('%s is refused', (text, message) => {
    expect(fill(text, {})).toBe(message)
  })
})
