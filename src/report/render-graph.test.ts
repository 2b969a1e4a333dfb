import { describe, expect, test } from 'vitest'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import type { Output } from '../sdk/index.js'
import { toDot, toMermaid } from './render-graph.js'
import { toSvg } from './render-graph-svg.js'

describe('drawings', () => {
  const pipeline = {
    name: 'a "b"',
    steps: [
      drawn({ id: 'blocks', type: 'rpc-batch', chain: 'ethereum', tables: ['blocks', 'txs', 'blocks'] }),
      drawn({ id: 'evil"]; x', title: '<img src=x onerror=alert(1)>\\"', type: 'exec', needs: ['blocks', 'gone'] }),
      drawn({ id: 'complete', type: 'gate', needs: ['blocks', 'evil"]; x'] }),
    ],
  }

  test('Mermaid', () => {
    expect(toMermaid(pipeline)).toBe(
      [
        'flowchart TD',
        '  s0["blocks<br/>rpc-batch on ethereum<br/>into blocks, txs"]',
        '  s1["#60;img src#61;x onerror#61;alert#40;1#41;#62;#92;#34; #40;evil#34;#93;#59; x#41;<br/>exec"]',
        '  s2{{"complete<br/>gate"}}',
        '  s0 --> s1',
        '  s0 --> s2',
        '  s1 --> s2',
        '',
      ].join('\n'),
    )
  })

  test('DOT', () => {
    expect(toDot(pipeline)).toBe(
      [
        'digraph "a \\"b\\"" {',
        '  rankdir = TB',
        '  node [shape = box, style = rounded, fontname = "sans-serif"]',
        '  "blocks" [label = "blocks\\nrpc-batch on ethereum\\ninto blocks, txs"]',
        '  "evil\\"]; x" [label = "<img src=x onerror=alert(1)>\\\\\\" (evil\\"]; x)\\nexec"]',
        '  "complete" [label = "complete\\ngate", shape = hexagon]',
        '  "blocks" -> "evil\\"]; x"',
        '  "blocks" -> "complete"',
        '  "evil\\"]; x" -> "complete"',
        '}',
        '',
      ].join('\n'),
    )
  })

  test('SVG: a box a step, each below what it needs, and nothing that a step is called is markup', () => {
    const svg = toSvg(pipeline)
    const names = [...svg.matchAll(/<tspan [^>]*>([^<]*)/g)].map(([, text]) => text)
    expect(names).toEqual([
      'blocks',
      'rpc-batch on ethereum',
      'into blocks, txs',
      '&#60;img src=x onerror=alert(1)&#62;\\&#34; (evil&#34;]; x)',
      'exec',
      'complete',
      'gate',
    ])
    const tops = [...svg.matchAll(/<g><rect x="[^"]*" y="([^"]*)"/g)].map(([, y]) => Number(y))
    expect(tops).toEqual([...tops].sort((a, b) => a - b))
    expect(new Set(tops).size).toBe(3)
    expect(svg.match(/marker-end/g)).toHaveLength(3)
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="\d[^]*<\/svg>\n$/)
    expect(toSvg({ name: 'a\u0000<b', steps: [] })).toContain('<title>a&#60;b</title>')
  })
})

function drawn({
  id,
  title = id,
  type,
  chain,
  tables = [],
  needs = [],
}: {
  id: string
  title?: string
  type: string
  chain?: string
  tables?: string[]
  needs?: string[]
}): Step {
  const outputs = tables.map((table): Output => ({ id: table, table, columns: [], compute: {}, constants: {} }))
  // The drawings read nothing else of a step.
  return {
    id,
    title,
    definition: { type, closes: type === 'gate' || undefined },
    chain,
    needs,
    outputs,
  } as unknown as Pipeline['steps'][number]
}
