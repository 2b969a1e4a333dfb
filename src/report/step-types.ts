import type { StepDefinition } from '../sdk/index.js'
import { type Field, fieldsOf } from './schema-fields.js'

/** The step types with what each gives, for `pipe steps`. */
export function stepList(definitions: readonly StepDefinition[]): string {
  const width = Math.max(0, ...definitions.map(({ type }) => type.length))
  const lines = sorted(definitions).map(({ type, summary }) => `  ${type.padEnd(width)}  ${summary}`)
  return `${lines.join('\n')}\n\nA type in full: pipe steps ${sorted(definitions)[0]?.type ?? 'TYPE'}\n`
}

/** All about one step type, for `pipe steps TYPE`: what it gives, the fields of its `with`, a pipeline that uses it. */
export function stepReference(definition: StepDefinition): string {
  const fields = fieldsOf(definition.config)
  return [
    definition.type,
    `  ${definition.summary}`,
    ...requirements(definition).map((line) => `  ${line}`),
    '',
    'with:',
    ...(fields.length === 0 ? ['  takes no fields'] : fields.flatMap(fieldLines)),
    ...(fields.some(({ tuning }) => tuning) ? ['', `  ~ ${TUNING}`] : []),
    '',
    'example:',
    ...definition.example.trim().split('\n').map(indent),
    '',
  ].join('\n')
}

/** The reference of every step type, as plugins/README.md. */
export function pluginsReadme(definitions: readonly StepDefinition[]): string {
  const all = sorted(definitions)
  return [
    '# Step types',
    '',
    'Generated from the step definitions by `npm run generate`. The same text is in `pipe steps TYPE`. [CONTRIBUTING.md](../CONTRIBUTING.md) shows how to write a step type, [ARCHITECTURE.md](../ARCHITECTURE.md) what is done for it.',
    '',
    '| type | what it does |',
    '|---|---|',
    ...all.map(({ type, summary }) => `| [\`${type}\`](#${type}) | ${cell(summary)} |`),
    '',
    `A field marked ~ is tuning: ${TUNING}. In \`with\`, any value may be \`$name\`.`,
    ...all.flatMap(sectionLines),
    '',
  ].join('\n')
}

const TUNING = 'with all inside it, it changes how the work is done, never which rows it gives, so a change of it fetches nothing again'

function sectionLines(definition: StepDefinition): readonly string[] {
  const fields = fieldsOf(definition.config)
  const rows = fields.map(
    (field) =>
      `| \`${field.path}\`${field.tuning ? ' ~' : ''} | ${cell(`${field.type}${presence(field)}`)} | ${cell(field.description ?? '')} |`,
  )
  return [
    '',
    `## ${definition.type}`,
    '',
    definition.summary,
    ...requirements(definition).flatMap((line) => ['', line]),
    '',
    ...(fields.length === 0 ? ['Takes no fields.'] : ['| field of `with` | type | meaning |', '|---|---|---|', ...rows]),
    '',
    '```yaml',
    definition.example.trim(),
    '```',
  ]
}

function requirements({ requires, version }: StepDefinition): readonly string[] {
  const names = (requires ?? []).map((name) => `\`${name}\``)
  const list = names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0]
  return [...(list === undefined ? [] : [`Needs ${list}.`]), ...(version === undefined || version === 1 ? [] : [`Version ${version}.`])]
}

function fieldLines(field: Field): readonly string[] {
  const margin = '  '.repeat(field.depth + 1)
  const name = field.path.slice(field.path.lastIndexOf('.') + 1)
  const head = `${margin}${name}: ${field.type}${presence(field)}${field.tuning ? ' ~' : ''}`
  return field.description === undefined ? [head] : [head, ...wrap(field.description, 100).map((line) => `${margin}    ${line}`)]
}

function presence(field: Field): string {
  if (field.required) return ', required'
  return field.default === undefined ? '' : `, default ${field.default}`
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}

function sorted(definitions: readonly StepDefinition[]): readonly StepDefinition[] {
  return [...definitions].sort((a, b) => (a.type < b.type ? -1 : 1))
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function indent(line: string): string {
  return line === '' ? '' : `  ${line}`
}
