import { beliefsOf } from './beliefs.js'
import { kindOf, namesIn } from './check.js'
import { KeyPager, NextPager } from './cursors.js'
import { endsOf } from './ends.js'
import type { Context } from './page.js'
import type { About, Pager } from './pager.js'
import { OffsetPager, PagePager } from './positions.js'
import { declaredLimit, isSure, limitOf, parameterOf } from './request.js'
import { target } from './target.js'
import { TimePager } from './times.js'

/** What finds the way through the list of a unit, from its beginning. */
export function createPager(ctx: Context): Pager {
  const { config, unit } = ctx
  const { cursor } = config
  const top = unit.piece.kind === 'stretch' ? unit.piece.to : 0n
  const beliefs = beliefsOf({ config })
  const about: About = {
    parameter: (name) => parameterOf(config, name),
    limit: declaredLimit(config),
    sure: isSure(config),
    asked: limitOf(config),
    ends: endsOf(config),
    still: cursor.window !== undefined && top !== target(ctx)?.to,
    longest: () => beliefs.longest,
  }
  switch (kindOf(config)) {
    case 'time':
      return new TimePager(cursor, top, about)
    case 'offset':
      return new OffsetPager(about)
    case 'page':
      return new PagePager(cursor.first ?? 1, about)
    case 'key':
      return new KeyPager(cursor.key ?? '', about)
    default:
      return new NextPager(cursor, namesIn(config.request).has('cursor'), about)
  }
}
