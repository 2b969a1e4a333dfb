import { expect, test } from 'vitest'
import { Type } from '../../sdk/index.js'
import { mentions } from './mentions.js'

const schema = Type.Object({
  sql: Type.Union([Type.String(), Type.Record(Type.String(), Type.String())], { references: 'sql' }),
  path: Type.String({ references: 'url' }),
  note: Type.String(),
  list: Type.Array(Type.Unknown()),
})
const config = {
  sql: { duckdb: `SELECT '$text', $from /* not $to */ -- nor $head`, default: 'SELECT $größe.x' },
  path: '/blocks/$from?to=$to',
  note: 'costs $five',
  list: ['$chain.name', { deep: '$now' }, 1, null],
}

test('a $name is a whole value, or stands in SQL outside of quotes and comments, or anywhere in a text of a URL', () => {
  expect(mentions(schema, config)).toEqual([
    { name: 'from', path: ['sql', 'duckdb'] },
    { name: 'größe.x', path: ['sql', 'default'] },
    { name: 'from', path: ['path'] },
    { name: 'to', path: ['path'] },
    { name: 'chain.name', path: ['list', 0] },
    { name: 'now', path: ['list', 1, 'deep'] },
  ])
})

test('what may be looked up in other texts is found when it is asked for', () => {
  const names = mentions(schema, config, 'inside').map(({ name }) => name)
  expect(names).toEqual(['from', 'größe.x', 'from', 'to', 'five', 'chain.name', 'now'])
})
