import { sum } from '../report/rates.js'
import type { Course } from '../serve/course.js'
import { type Point, speedOf } from './speed.js'
import { duration, rate } from './words.js'

/** How fast a run was, since the server hears of it. */
export function Throughput({ course }: { course: Course }) {
  const pieces = speedOf(course.samples, (sample) => sample.pieces)
  const rows = speedOf(course.samples, (sample) => sample.rows)
  const requests = speedOf(course.samples, (sample) => sum(sample.requests))
  if (pieces.length < 2) return null
  return (
    <section class="card" aria-labelledby="throughput">
      <h2 id="throughput">Throughput</h2>
      <div class="charts">
        <Chart name="Pieces" points={pieces} />
        <Chart name="Rows" points={rows} />
        {requests.some(({ perSecond }) => perSecond > 0) ? <Chart name="Requests" points={requests} /> : null}
      </div>
    </section>
  )
}

const [WIDTH, HEIGHT] = [400, 72]

function Chart({ name, points }: { name: string; points: readonly Point[] }) {
  const [first, last] = [points[0], points.at(-1)]
  if (!first || !last) return null
  const most = Math.max(...points.map(({ perSecond }) => perSecond), 1e-9)
  const x = (at: number) => ((at - first.at) / Math.max(1, last.at - first.at)) * WIDTH
  const y = (perSecond: number) => HEIGHT - (perSecond / most) * (HEIGHT - 4) - 1
  const line = points.map(({ at, perSecond }) => `${x(at).toFixed(1)},${y(perSecond).toFixed(1)}`).join(' ')
  return (
    <figure class="chart">
      <figcaption class="small row">
        <span class="dim">{name}</span>
        <strong>{rate(last.perSecond)}</strong>
        <span class="grow" />
        <span class="dim">
          most {rate(most)}, over {duration(last.at - first.at)}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${name}: ${rate(last.perSecond)} now, at most ${rate(most)}`}
      >
        <polygon points={`0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
        <polyline points={line} />
      </svg>
    </figure>
  )
}
