import { lagsOf } from '../report/lag.js'
import { sum } from '../report/rates.js'
import type { EndpointView, RunView } from './api.js'
import { Mark } from './mark.js'
import { bytes, count, counted, duration, rate } from './words.js'

/** How each endpoint is: how fast, what went wrong, what it was found to take, how far behind the head; nothing where none is asked. */
export function Endpoints({ view, speeds, now }: { view: RunView; speeds: ReadonlyMap<string, number>; now: number }) {
  if (view.endpoints.length === 0) return null
  const lags = new Map(view.follow ? lagsOf(view, now).map((lag) => [lag.chain, lag]) : [])
  const heads = Object.entries(view.heads).map(([chain, head]) => {
    const lag = lags.get(chain)
    const behind = lag ? `, ${counted(lag.behind, 'blocks')} behind${lag.ms === null ? '' : ` for ${duration(lag.ms)}`}` : ''
    return `${chain} at ${count(Number(head))}${behind}`
  })
  return (
    <section class="card" aria-labelledby="endpoints">
      <h2 id="endpoints">Endpoints</h2>
      {heads.length === 0 ? null : <p class="small dim">Head: {heads.join('; ')}</p>}
      <div class="scroll" tabIndex={0} role="group" aria-label="Table of the endpoints">
        <table>
          <thead>
            <tr>
              <th scope="col">Endpoint</th>
              <th scope="col">Health</th>
              <th scope="col" class="number">
                Requests
              </th>
              <th scope="col" class="number">
                Latency
              </th>
              <th scope="col" class="number">
                Retries
              </th>
              <th scope="col" class="number">
                Takes
              </th>
            </tr>
          </thead>
          <tbody>
            {view.endpoints.map((endpoint) => (
              <Row key={keyOf(endpoint)} endpoint={endpoint} speed={speeds.get(keyOf(endpoint))} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

export const keyOf = ({ chain, endpoint }: Pick<EndpointView, 'chain' | 'endpoint'>): string => `${chain} ${endpoint}`

function Row({ endpoint: of, speed }: { endpoint: EndpointView; speed: number | undefined }) {
  const { endpoint, chain, health, reason, requests, calls, ms, retries, batch, parallel, creditsPerSecond, hedged, lastError } = of
  const classes = Object.entries(retries).map(([name, number]) => `${count(number)} ${name.toLowerCase()}`)
  return (
    <tr>
      <th scope="row">
        {endpoint}
        <span class="small dim block">{chain}</span>
      </th>
      <td>
        <Mark state={health} />
        {reason === null ? null : <span class="small dim block reason">{reason}</span>}
      </td>
      <td class="number">
        {count(requests)}
        <span class="small dim block">{speed === undefined ? `${count(calls)} calls` : rate(speed)}</span>
      </td>
      <td class="number">
        {requests === 0 ? '–' : `${count(ms / requests)} ms`}
        <span class="small dim block">{bytes(of.bytes)}</span>
      </td>
      <td class="number" title={lastError ?? undefined}>
        {count(sum(retries))}
        <span class="small dim block">{[...classes, ...(hedged > 0 ? [`${count(hedged)} hedged`] : [])].join(', ')}</span>
      </td>
      <td class="number">
        {batch === null ? 'not known yet' : `${count(batch)} × ${count(parallel ?? 1)}`}
        <span class="small dim block">{creditsPerSecond === null ? 'calls × at once' : `${count(creditsPerSecond)} credits/s`}</span>
      </td>
    </tr>
  )
}
