import { describe, expect, test } from 'vitest'
import { duckdbSettings, localPlace, pathFault, urlFault } from './urls.js'

describe('a URL of a server', () => {
  test.each([
    'https://rpc.example/v2/key',
    'http://user:p%40s3cr%23x%2Fy%3Fz%25@127.0.0.1:8545/a?b=c%40d',
    'http://user:p@ss@host/',
    'https://api.example/users/@me?q=a@b',
    'postgres:///db?host=/var/run/postgresql',
    'postgres://user@host:5432/db?sslmode=require',
    'clickhouse://default:@host:8123/db?cluster=c',
    'https://xn--bcher-kva.example/',
    'http://[::1]:8545/',
  ])('that means what it says is taken: %s', (url) => {
    expect(urlFault(url)).toBeUndefined()
  })

  test.each([
    ['http://user:p@s3cr#x@127.0.0.1:8545', 'is a URL with a # in it, which ends what is sent to a server'],
    ['https://rpc.example/key#', 'is a URL with a # in it, which ends what is sent to a server'],
    ['http://user:p@s3cr/x@127.0.0.1:8545', 'is a URL with an @ behind its host'],
    ['http://user:12/s3cr@127.0.0.1:8545', 'is a URL with an @ behind its host'],
    ['http://user:12?s3cr@127.0.0.1:8545', 'is a URL with an @ behind its host'],
    ['http://user:12\\s3cr@127.0.0.1:8545', 'is a URL with an @ behind its host'],
    ['postgres://user:p@s3cr/x@127.0.0.1:5432/db', 'is a URL with an @ behind its host'],
    ['http://user:100%s3cr@127.0.0.1:8545', 'is a URL with a % that begins no %-code in its user or password'],
    ['postgres://u%zz:s3cr@127.0.0.1/db', 'is a URL with a % that begins no %-code in its user or password'],
    ['http://user:s3cr/x@host', 'is no URL that can be read'],
    ['http://user:s3cr?x@host', 'is no URL that can be read'],
    ['https://host:99999/s3cr', 'is no URL that can be read'],
    ['https://rpc.example/s3cr et', 'is a URL with a space, line break or invisible sign in it'],
    ['https://rpc.exa\nmple/s3cr', 'is a URL with a space, line break or invisible sign in it'],
    ['https://rpc.example/s3cr\u200b', 'is a URL with a space, line break or invisible sign in it'],
    ['"https://rpc.example/s3cr"', 'is a URL in quotes'],
  ])('that would be cut at the wrong place is refused without showing any of it: %s', (url, message) => {
    const fault = urlFault(url)
    expect(fault?.message).toBe(message)
    expect(JSON.stringify(fault)).not.toContain('s3cr')
  })
})

describe('a path of an embedded database', () => {
  test.each(['out.duckdb', 'data/out.duckdb', './a b.duckdb', '/srv/out.duckdb', '../x', ':memory:', 'a/b:c', '$', 'a~b'])(
    'is taken as it stands: %s',
    (path) => {
      expect(pathFault('duckdb', path)).toBeUndefined()
    },
  )

  test.each([
    ['', 'the path after `duckdb:` is empty', 'write duckdb:data/name.duckdb'],
    ['~/x.duckdb', '`~` is not expanded in a path', 'write duckdb:${HOME}/data/name.duckdb'],
    ['~user/x.duckdb', '`~` is not expanded in a path', 'write duckdb:${HOME}/data/name.duckdb'],
    ['$HOME/x', '`$HOME` is not expanded in a path', 'write duckdb:${HOME}/data/name.duckdb'],
    ['%TEMP%/x', '`%TEMP%` is not expanded in a path', 'write duckdb:${TEMP}/data/name.duckdb'],
    ['md:mydb', 'MotherDuck is not supported', 'write duckdb:data/name.duckdb, a file of this machine'],
    ['motherduck:mydb', 'MotherDuck is not supported', 'write duckdb:data/name.duckdb, a file of this machine'],
    ['file:x.duckdb', '`duckdb:file:` is no path', 'write duckdb:data/name.duckdb, without a second scheme'],
    ['s3://bucket/x', '`duckdb:s3:` is no path', 'write duckdb:data/name.duckdb, without a second scheme'],
    ['data/', 'names a folder, not a file', 'write duckdb:data/name.duckdb'],
    [' out.duckdb', 'the path after `duckdb:` has a space at its begin or end, or a line break', 'write duckdb:data/name.duckdb'],
    ...['//out.duckdb', '///out.duckdb', '////srv/out.duckdb'].map((path) => [
      path,
      '`duckdb://` is no form of a path',
      'write duckdb:data/name.duckdb for a path from the working folder, duckdb:/srv/data/name.duckdb for an absolute one',
    ]),
  ])('that another tool would read otherwise is refused with the form that is meant: %s', (path, message, hint) => {
    expect(pathFault('duckdb', path)).toEqual({ message, hint })
  })

  test('of DuckDB takes settings behind its path, and no others', () => {
    const settings = '?memory_limit=2GB&threads=4&temp_directory=/srv/spill'
    expect(pathFault('duckdb', `data/x.duckdb${settings}`)).toBeUndefined()
    expect(localPlace(`duckdb:data/x.duckdb${settings}`)).toEqual({ scheme: 'duckdb', path: 'data/x.duckdb', settings })
    expect(duckdbSettings(settings)).toEqual({ memoryLimit: '2GB', threads: 4, tempDirectory: '/srv/spill' })
    expect(duckdbSettings('?memory_limit=1.5GiB')).toEqual({ memoryLimit: '1.5GiB' })
    const wrong = (text: string) => pathFault('duckdb', `x.duckdb?${text}`)?.message
    expect(wrong('memory=2GB')).toBe("has a setting `memory`, which DuckDB files don't have here")
    expect(wrong('access_mode=READ_ONLY')).toBe("has a setting `access_mode`, which DuckDB files don't have here")
    expect(wrong('constructor=1')).toBe("has a setting `constructor`, which DuckDB files don't have here")
    expect(wrong('')).toBe("has a setting ``, which DuckDB files don't have here")
    for (const value of ['', '2', '0GB', '-1GB', '80%', '2 GB', 'lots'])
      expect(wrong(`memory_limit=${value}`)).toBe(`gives "${value}" for memory_limit`)
    for (const value of ['', '0', '1.5', '-2', '1000']) expect(wrong(`threads=${value}`)).toBe(`gives "${value}" for threads`)
    for (const value of ['', '~/x', '$TMP']) expect(wrong(`temp_directory=${value}`)).toBe(`gives "${value}" for temp_directory`)
    expect(wrong('threads=2&threads=4')).toBe('gives threads twice')
    // A folder of ClickHouse has none: its path is taken as it stands.
    expect(localPlace('chdb:data/a?b')).toEqual({ scheme: 'chdb', path: 'data/a?b', settings: '' })
    expect(localPlace('postgres://u:p@h/d?x=1')).toBeUndefined()
  })

  test('of ClickHouse may be a folder', () => {
    expect(pathFault('chdb', 'data/ch/')).toBeUndefined()
    expect(pathFault('chdb', '//ch')?.message).toBe('`chdb://` is no form of a path')
  })
})
