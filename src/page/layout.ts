import { graphlib, layout } from '@dagrejs/dagre'

export interface Box {
  readonly id: string
  readonly x: number
  readonly y: number
}

export interface Edge {
  readonly from: string
  readonly to: string
  /** As SVG wants it. */
  readonly path: string
}

export interface Drawing {
  /** Of every box. */
  readonly size: Size
  readonly width: number
  readonly height: number
  readonly boxes: readonly Box[]
  readonly edges: readonly Edge[]
}

interface Size {
  readonly width: number
  readonly height: number
}

/** A longer name takes two lines. */
const ONE_LINE = 18
const sizeFor = (names: readonly string[]): Size => ({ width: 200, height: names.some(({ length }) => length > ONE_LINE) ? 84 : 66 })

interface Shape {
  readonly id: string
  readonly title: string
  readonly needs: readonly string[]
}

/** Where the steps of a graph stand: left to right, or down a narrow screen. */
export function drawn(steps: readonly Shape[], isNarrow: boolean): Drawing {
  const size = sizeFor(steps.map(({ title }) => title))
  const graph = new graphlib.Graph()
  graph.setGraph({ rankdir: isNarrow ? 'TB' : 'LR', nodesep: 16, edgesep: 16, ranksep: isNarrow ? 30 : 48, marginx: 4, marginy: 4 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { id } of steps) graph.setNode(id, { ...size })
  const known = new Set(steps.map(({ id }) => id))
  for (const { id, needs } of steps) for (const need of needs) if (known.has(need)) graph.setEdge(need, id)
  layout(graph)
  const { width = 0, height = 0 } = graph.graph()
  const edges = graph.edges().map((edge) => ({ ...edge, points: graph.edge(edge).points ?? [] }))
  // A line that goes around boxes may go beyond them.
  const beyond = edges.flatMap(({ points }) => points)
  return {
    size,
    width: Math.max(width, ...beyond.map(({ x }) => x + 4)),
    height: Math.max(height, ...beyond.map(({ y }) => y + 4)),
    boxes: graph.nodes().map((id) => {
      const { x = 0, y = 0 } = graph.node(id)
      return { id, x: x - size.width / 2, y: y - size.height / 2 }
    }),
    edges: edges.map(({ v, w, points }) => ({
      from: v,
      to: w,
      path: curve(fromSides(graph.node(v), points, graph.node(w), size, isNarrow)),
    })),
  }
}

interface Point {
  readonly x: number
  readonly y: number
}

/** A line leaves a box in the middle of one side and comes in the middle of the other, so that none seems to come from a box beside it. */
function fromSides(from: Partial<Point>, points: readonly Point[], to: Partial<Point>, size: Size, isNarrow: boolean): readonly Point[] {
  const side = ({ x = 0, y = 0 }: Partial<Point>, by: 1 | -1): Point =>
    isNarrow ? { x, y: y + (by * size.height) / 2 } : { x: x + (by * size.width) / 2, y }
  return [side(from, 1), ...points.slice(1, -1), side(to, -1)]
}

/** A line through points, bent at those between its ends. */
function curve(points: readonly Point[]): string {
  const [first, ...rest] = points
  if (!first) return ''
  const parts = rest.map((point, i) => {
    const next = rest[i + 1]
    if (!next) return `L${point.x},${point.y}`
    return `Q${point.x},${point.y} ${(point.x + next.x) / 2},${(point.y + next.y) / 2}`
  })
  return `M${first.x},${first.y}${parts.join('')}`
}
