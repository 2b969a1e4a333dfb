import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { edges } from '../pipeline/steps/graph.js'

/** The DAG as a Mermaid flowchart, as GitHub and most Markdown viewers draw it. */
export function toMermaid(pipeline: Pick<Pipeline, 'steps'>): string {
  const names = new Map(pipeline.steps.map(({ id }, i) => [id, `s${i}`]))
  const lines = ['flowchart TD']
  for (const step of pipeline.steps) {
    const [open, close] = step.definition.closes ? ['{{', '}}'] : ['[', ']']
    lines.push(`  ${names.get(step.id)}${open}"${labels(step).map(mermaidText).join('<br/>')}"${close}`)
  }
  for (const [from, to] of edges(pipeline.steps)) lines.push(`  ${names.get(from)} --> ${names.get(to)}`)
  return `${lines.join('\n')}\n`
}

/** The DAG in the DOT language of Graphviz: `pipe graph --format dot FILE | dot -Tsvg`. */
export function toDot(pipeline: Pick<Pipeline, 'name' | 'steps'>): string {
  const lines = [`digraph ${dotText(pipeline.name)} {`, '  rankdir = TB', '  node [shape = box, style = rounded, fontname = "sans-serif"]']
  for (const step of pipeline.steps) {
    const shape = step.definition.closes ? ', shape = hexagon' : ''
    lines.push(`  ${dotText(step.id)} [label = ${dotText(labels(step).join('\n'))}${shape}]`)
  }
  for (const [from, to] of edges(pipeline.steps)) lines.push(`  ${dotText(from)} -> ${dotText(to)}`)
  return `${[...lines, '}'].join('\n')}\n`
}

/** Lines of a node: the title, or the id where it says the same; the type and the chain or source; the tables. */
export function labels(step: Step): readonly string[] {
  const tables = [...new Set(step.outputs.map(({ table }) => table))]
  const from = step.chain ?? step.source
  return [
    step.title === step.id ? step.id : `${step.title} (${step.id})`,
    from === undefined ? step.definition.type : `${step.definition.type} on ${from}`,
    ...(tables.length > 0 ? [`into ${tables.join(', ')}`] : []),
  ]
}

/** Text inside a quoted Mermaid label: everything that Mermaid or HTML could read as markup becomes an entity. */
function mermaidText(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N} .,:_-]/gu, (char) => `#${char.codePointAt(0) ?? 32};`)
}

function dotText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
