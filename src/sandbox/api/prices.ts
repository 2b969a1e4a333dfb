import { draw, kinds } from '../random.js'
import { BadRequestError, jsonReply } from './page.js'
import type { Reply } from '../wire.js'

const hour = 3600
const day = 24 * hour

/**
 * `GET /api/v3/coins/{id}/market_chart/range?vs_currency=&from=&to=` (unix seconds, both ends included): a price an
 * hour, or a day where the range is longer than 90 days, each at a seeded moment of its hour, none after `until`.
 */
export function marketChart(seed: number, coin: string, query: Readonly<Record<string, string>>, until: number): Reply {
  if (!query.vs_currency) throw new BadRequestError('Missing parameter vs_currency')
  const [from, to] = [query.from, query.to].map((text) => Number(text ? text : NaN)) as [number, number]
  if (!Number.isFinite(from) || !Number.isFinite(to)) throw new BadRequestError('from and to must be unix timestamps')
  const step = to - from > 90 * day ? day : hour
  const prices: [number, number][] = []
  for (let start = Math.floor(from / step) * step; start <= Math.min(to, until); start += step) {
    const price = priceAt(seed, coin, start)
    if (price.seconds >= from && price.seconds <= Math.min(to, until)) prices.push([price.ms, price.value])
  }
  const times = (factor: number): [number, number][] => prices.map(([ms, value]) => [ms, Math.round(value * factor)])
  return jsonReply({ prices, market_caps: times(1_500_000_000), total_volumes: times(20_000_000) })
}

/** The one price of an hour: around 1 for the coin's own seed, with cents and more digits, as the real API has them. */
function priceAt(seed: number, coin: string, start: number): { readonly ms: number; readonly seconds: number; readonly value: number } {
  const own = [...coin].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)!) >>> 0, seed)
  const dice = draw(own, kinds.price, 0, start / hour)
  const ms = start * 1000 + (dice % (hour * 1000))
  const base = 1 + (draw(own, kinds.price, 1, 0) % 2000)
  const swing = Math.sin(start / (9 * day)) * 0.2 + (draw(own, kinds.price, 2, start / hour) / 0x1_0000_0000 - 0.5) * 0.02
  return { ms, seconds: ms / 1000, value: base * (1 + swing) }
}
