/** What is wrong with a URL, in words that show nothing of it: a part that was cut wrongly may be a piece of a password. */
export interface UrlFault {
  readonly message: string
  readonly hint: string
}

const CODES = 'in a user, password or key write %40 for @, %23 for #, %2F for /, %3F for ? and %25 for %'

/**
 * What makes a URL of a server mean something else than its writer saw, or undefined. Each such URL parses somehow, but with
 * a part of its password as host, port or path, and those are shown in messages. `text` is trimmed.
 */
export function urlFault(text: string): UrlFault | undefined {
  // WHATWG URL drops line breaks and encodes spaces without a word.
  if (/[\u0000-\u0020\u007f\p{Zs}\p{Cf}]/u.test(text))
    return { message: 'is a URL with a space, line break or invisible sign in it', hint: 'take it out, or write it as a %-code: %20' }
  if (/^["'`“”‘’]/.test(text)) return { message: 'is a URL in quotes', hint: 'take the quotes out of the value' }
  if (!URL.canParse(text))
    return { message: 'is no URL that can be read', hint: `write it whole: scheme://user:password@host/path; ${CODES}` }
  const url = new URL(text)
  if (url.hash !== '' || text.endsWith('#')) return { message: 'is a URL with a # in it, which ends what is sent to a server', hint: CODES }
  const [, authority = '', rest = ''] = /^[^:/?#\\]+:[/\\]*([^/?#\\]*)(.*)$/s.exec(text) ?? []
  // `https://medium.com/@name` is a path; behind a colon or an @ it may be the end of a password.
  if (rest.includes('@') && /[:@]/.test(authority)) return { message: 'is a URL with an @ behind its host', hint: CODES }
  for (const part of [url.username, url.password]) {
    try {
      decodeURIComponent(part)
    } catch {
      return { message: 'is a URL with a % that begins no %-code in its user or password', hint: CODES }
    }
  }
  return undefined
}

/** A database of this machine. */
export interface LocalPlace {
  readonly scheme: 'duckdb' | 'chdb'
  /** As it is written, or `:memory:`. */
  readonly path: string
  /** What follows the path, from its `?` on. */
  readonly settings: string
}

/** Parts of `duckdb:PATH?NAME=VALUE&…` or `chdb:PATH`; undefined for another URL. */
export function localPlace(url: string): LocalPlace | undefined {
  const [, scheme, path = '', settings = ''] = /^(duckdb):([^?]*)(\?.*)?$/s.exec(url) ?? /^(chdb):(.*)$/s.exec(url) ?? []
  return scheme === 'duckdb' || scheme === 'chdb' ? { scheme, path, settings } : undefined
}

/** How DuckDB works with a file. */
export interface DuckdbSettings {
  /** `2GB`. */
  readonly memoryLimit?: string
  readonly threads?: number
  readonly tempDirectory?: string
}

const DUCKDB_SETTINGS: Readonly<
  Record<string, { readonly of: keyof DuckdbSettings; readonly fits: (value: string) => boolean; readonly example: string }>
> = {
  memory_limit: { of: 'memoryLimit', fits: (value) => /^(?=.*[1-9])\d+(\.\d+)?(?:[MGT]i?B)$/i.test(value), example: 'memory_limit=2GB' },
  threads: { of: 'threads', fits: (value) => /^[1-9]\d{0,2}$/.test(value), example: 'threads=4' },
  temp_directory: {
    of: 'tempDirectory',
    fits: (value) => value.trim() !== '' && !/^[~$%]|\/\//.test(value),
    example: 'temp_directory=/srv/spill',
  },
}

/** Reads what follows the path of a DuckDB file: `?memory_limit=2GB&threads=4&temp_directory=FOLDER`. */
export function duckdbSettings(text: string): DuckdbSettings | UrlFault {
  const settings: Record<string, string | number> = {}
  const examples = Object.values(DUCKDB_SETTINGS).map(({ example }) => example)
  const hint = `write duckdb:data/name.duckdb?${examples.join('&')}, or some of them`
  for (const part of text.slice(1).split('&')) {
    if (text === '') break
    const [name = '', ...rest] = part.split('=')
    const known = Object.hasOwn(DUCKDB_SETTINGS, name) ? DUCKDB_SETTINGS[name] : undefined
    if (!known) return { message: `has a setting \`${name.slice(0, 40)}\`, which DuckDB files don't have here`, hint }
    if (known.of in settings) return { message: `gives ${name} twice`, hint: 'give it once' }
    const value = rest.join('=')
    if (!known.fits(value))
      return { message: `gives ${JSON.stringify(value.slice(0, 40))} for ${name}`, hint: `for example ${known.example}` }
    settings[known.of] = known.of === 'threads' ? Number(value) : value
  }
  return settings
}

/**
 * What is wrong with the place of an embedded database (what follows `duckdb:`, `chdb:` or `sqlite:`), or undefined. Refused is what
 * other tools read as something else than a path of this machine, or what a shell would have expanded.
 */
export function pathFault(scheme: 'duckdb' | 'chdb' | 'sqlite', place: string): UrlFault | undefined {
  const at = scheme === 'duckdb' ? place.indexOf('?') : -1
  if (at < 0) return plainPathFault(scheme, place)
  const settings = duckdbSettings(place.slice(at))
  return plainPathFault(scheme, place.slice(0, at)) ?? ('message' in settings ? settings : undefined)
}

function plainPathFault(scheme: 'duckdb' | 'chdb' | 'sqlite', path: string): UrlFault | undefined {
  const example = scheme === 'sqlite' ? '.pipe/state.db' : `data/name.${scheme}`
  if (path.trim() === '') return { message: `the path after \`${scheme}:\` is empty`, hint: `write ${scheme}:${example}` }
  if (path !== path.trim() || /[\u0000-\u001f\u007f]/.test(path))
    return { message: `the path after \`${scheme}:\` has a space at its begin or end, or a line break`, hint: `write ${scheme}:${example}` }
  if (path.startsWith('//'))
    return {
      message: `\`${scheme}://\` is no form of a path`,
      hint: `write ${scheme}:${example} for a path from the working folder, ${scheme}:/srv/${example} for an absolute one`,
    }
  if (path.startsWith('~')) return { message: '`~` is not expanded in a path', hint: `write ${scheme}:\${HOME}/${example}` }
  const variable = /^\$(\w+)|^%(\w+)%/.exec(path)
  if (variable) {
    const name = variable[1] ?? variable[2] ?? 'HOME'
    return { message: `\`${variable[0]}\` is not expanded in a path`, hint: `write ${scheme}:\${${name}}/${example}` }
  }
  if (/^(md|motherduck):/i.test(path))
    return { message: 'MotherDuck is not supported', hint: `write ${scheme}:${example}, a file of this machine` }
  const other = path === ':memory:' ? undefined : /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(path)?.[1]
  if (other !== undefined)
    return { message: `\`${scheme}:${other}:\` is no path`, hint: `write ${scheme}:${example}, without a second scheme` }
  if (scheme !== 'chdb' && /[/\\]$/.test(path)) return { message: 'names a folder, not a file', hint: `write ${scheme}:${example}` }
  return undefined
}
