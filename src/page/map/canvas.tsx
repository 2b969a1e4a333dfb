import { useEffect, useRef, useState } from 'preact/hooks'
import { type Cell, type Span } from './scale.js'
import { paint, paletteOf } from './paint.js'

/** Draws layers of cells, the last one on top, whenever they, the window, the size or the colours change. */
export function Cells({ layers, window }: { layers: readonly (readonly Cell[])[]; window: Span }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const again = () => setTurn((turns) => turns + 1)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', again)
    const sizes = new ResizeObserver(again)
    if (canvas.current) sizes.observe(canvas.current)
    return () => {
      scheme.removeEventListener('change', again)
      sizes.disconnect()
    }
  }, [])
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (!element || !context) return
    element.width = Math.max(1, Math.round(element.clientWidth * devicePixelRatio))
    element.height = Math.max(1, Math.round(element.clientHeight * devicePixelRatio))
    const palette = paletteOf(element, context)
    for (const cells of layers) paint(context, cells, window, palette)
  }, [layers, window, turn])
  return <canvas ref={canvas} aria-hidden="true" />
}
