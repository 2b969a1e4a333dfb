import { BadRequestError, jsonReply, slice, whole } from './page.js'
import type { List } from './page.js'
import type { ApiTransaction } from './world.js'

/** `GET /extended/v3/transactions?limit=&cursor=H:M:I`: a cursor names the first row of its page. */
export const stacksV3: List = {
  records: 'results',
  read(transactions, { query, limit, take, mark }) {
    let from = 0
    if (query.cursor) {
      const [, height, index] = /^(\d+):\d+:(\d+)$/.exec(query.cursor) ?? []
      const place = height === undefined ? undefined : transactions.place({ height: Number(height), index: Number(index) })
      if (place === undefined) throw new BadRequestError(`querystring/cursor ${query.cursor} is not a cursor of this list`)
      from = place
    }
    // The middle number is the microblock's, which means nothing any more: a second cursor for one place differs in it.
    const cursorAt = (place: number): string | undefined => {
      const row = transactions.at(place)
      return row && `${row.height}:${2_147_483_647 - Number(mark)}:${row.index}`
    }
    return {
      rows: slice(transactions, from, take),
      total: transactions.size,
      next: cursorAt(from + take),
      previous: from === 0 ? undefined : cursorAt(Math.max(0, from - limit)),
      current: cursorAt(from),
    }
  },
  write({ rows, total, next, previous, current }, { limit }) {
    const cursor = JSON.stringify({ next: next ?? null, previous: previous ?? null, current: current ?? null })
    return jsonReply(`{"total":${total},"limit":${limit},"cursor":${cursor},"results":[${rows.map(v3Row).join(',')}]}`)
  },
}

/** `GET /extended/v1/tx?limit=&end_time=&offset=`: `end_time` in unix seconds bounds the list from above. */
export const stacksV1: List = {
  records: 'results',
  read(transactions, { query, take, inclusive }) {
    const endTime = whole(query, 'end_time', Infinity)
    const begin = transactions.newerThan(inclusive ? endTime : endTime - 1)
    return { rows: slice(transactions, begin + whole(query, 'offset', 0), take), total: transactions.size - begin, next: undefined }
  },
  write({ rows, total }, { limit, query }) {
    return jsonReply(`{"limit":${limit},"offset":${whole(query, 'offset', 0)},"total":${total},"results":[${rows.map(v1Row).join(',')}]}`)
  },
}

function v3Row(row: ApiTransaction): string {
  return (
    `{"tx_id":"${row.id}","sender":{"address":"${row.sender}","nonce":${row.nonce}},"fee_rate":"${row.fee}",` +
    `"block":{"height":${row.height},"hash":"${row.hash}","time":${row.time},"tx_index":${row.index}},"status":"${row.status}","type":"${row.type}"}`
  )
}

function v1Row(row: ApiTransaction): string {
  return (
    `{"tx_id":"${row.id}","nonce":${row.nonce},"fee_rate":"${row.fee}","sender_address":"${row.sender}","block_hash":"${row.hash}",` +
    `"block_height":${row.height},"block_time":${row.time},"burn_block_time":${row.burnTime},"canonical":true,"tx_index":${row.index},` +
    `"tx_status":"${row.status}","tx_type":"${row.type}"}`
  )
}
