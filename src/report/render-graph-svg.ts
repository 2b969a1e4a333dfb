import type { Pipeline } from '../pipeline/pipeline.js'
import { edges, levels } from '../pipeline/steps/graph.js'
import { labels } from './render-graph.js'

const FONT = 13
const LETTER = FONT * 0.6
const LINE = 18
const PAD = 14
const ACROSS = 28
const DOWN = 52

interface Box {
  readonly lines: readonly string[]
  readonly gate: boolean
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The DAG as a picture: what can run at the same time side by side, each step below all that it needs. */
export function toSvg(pipeline: Pick<Pipeline, 'name' | 'steps'>): string {
  const { boxes, width, height } = placed(pipeline)
  const arrows = edges(pipeline.steps).flatMap(([from, to]) => {
    const [above, below] = [boxes.get(from), boxes.get(to)]
    return above && below ? [arrow(above, below)] : []
  })
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="${FONT}">`,
    `  <title>${xml(pipeline.name)}</title>`,
    '  <defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#667"/></marker></defs>',
    `  <rect width="${width}" height="${height}" fill="#fff"/>`,
    ...arrows,
    ...Array.from(boxes.values(), drawn),
    '</svg>',
  ].join('\n')}\n`
}

function placed({ steps }: Pick<Pipeline, 'steps'>) {
  const known = new Map(steps.map((step) => [step.id, step]))
  const rows = levels(steps).map((level) =>
    level.flatMap((id) => {
      const step = known.get(id)
      if (!step) return []
      const lines = labels(step)
      const longest = Math.max(...lines.map((line) => Array.from(line).length))
      const size = { width: Math.ceil(longest * LETTER) + 2 * PAD, height: lines.length * LINE + PAD }
      return [{ id, lines, gate: step.definition.closes ?? false, ...size }]
    }),
  )
  const widthOf = (row: (typeof rows)[number]) => row.reduce((sum, box) => sum + box.width, (row.length - 1) * ACROSS)
  const width = Math.max(0, ...rows.map(widthOf)) + 2 * ACROSS
  const boxes = new Map<string, Box>()
  let y = ACROSS
  for (const row of rows) {
    let x = (width - widthOf(row)) / 2
    for (const { id, ...box } of row) {
      boxes.set(id, { ...box, x, y })
      x += box.width + ACROSS
    }
    y += Math.max(...row.map((box) => box.height)) + DOWN
  }
  return { boxes, width, height: rows.length === 0 ? 2 * ACROSS : y - DOWN + ACROSS }
}

function arrow(from: Box, to: Box): string {
  const [x1, y1, x2, y2] = [from.x + from.width / 2, from.y + from.height, to.x + to.width / 2, to.y]
  const bend = (y1 + y2) / 2
  return `  <path d="M${x1} ${y1} C${x1} ${bend} ${x2} ${bend} ${x2} ${y2}" fill="none" stroke="#667" marker-end="url(#tip)"/>`
}

function drawn({ lines, gate, x, y, width, height }: Box): string {
  const colours = gate ? 'fill="#fff6e0" stroke="#b8860b" stroke-dasharray="5 3"' : 'fill="#eef3fb" stroke="#4a6fa5"'
  const text = lines.map((line, i) => `<tspan x="${x + width / 2}" y="${y + PAD / 2 + i * LINE + FONT}">${xml(line)}</tspan>`)
  return `  <g><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="6" ${colours}/><text text-anchor="middle">${text.join('')}</text></g>`
}

/** Text as XML takes it: what is markup becomes an entity, and what no document may hold is left out. */
function xml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}
