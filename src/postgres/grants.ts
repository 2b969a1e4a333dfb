import { quoteIdentifier } from '../sdk/index.js'

/**
 * What to type so that a role may do what the server refused it, by the server's own words; undefined for words that are not
 * known (a server may speak another language).
 *
 * @param text The statement that was refused: whether it reads or writes the table.
 */
export function grantFor(problem: string, role: string, text: string): string | undefined {
  const to = `TO ${sqlName(role)}`
  const [, kind = '', lacking = ''] = /^permission denied for ([a-z ]+?) "?(.+?)"?$/.exec(problem) ?? []
  const name = sqlName(lacking)
  switch (kind) {
    case 'database':
      return `GRANT ${/"/.test(problem) ? 'CONNECT' : 'CREATE'} ON DATABASE ${name} ${to}`
    case 'schema':
      return `GRANT USAGE, CREATE ON SCHEMA ${name} ${to}`
    case 'table':
    case 'view':
    case 'relation':
      return `GRANT ${rightsOn(lacking, text).join(', ')} ON TABLE ${name} ${to}`
    case 'sequence':
      return `GRANT USAGE ON SEQUENCE ${name} ${to}`
    case 'function':
      return `GRANT EXECUTE ON FUNCTION ${name} ${to}`
  }
  const temporary = /^permission denied to create temporary tables in database "(.+)"$/.exec(problem)
  if (temporary) return `GRANT TEMPORARY ON DATABASE ${sqlName(temporary[1] ?? '')} ${to}`
  const owner = /^must be owner of (?:table|relation|index) (.+)$/.exec(problem)
  if (owner) return `ALTER TABLE ${sqlName(owner[1] ?? '')} OWNER ${to}`
  const policy = /row-level security policy.* for table "(.+)"$/.exec(problem)
  return policy ? `ALTER TABLE ${sqlName(policy[1] ?? '')} DISABLE ROW LEVEL SECURITY` : undefined
}

/** `t`, and `"T x"` where it must be quoted. */
export function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : quoteIdentifier(name)
}

/** Words of Postgres that are no names. */
const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column concurrently
  constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default
  deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner intersect
  into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer
  overlaps placing primary references returning right select session_user similar some symmetric system_user table tablesample then to
  trailing true union unique user using variadic verbose when where window with`.split(/\s+/),
)

/** What a statement needs of a table that it names. */
function rightsOn(table: string, text: string): string[] {
  const named = table.replace(/[^\w]/g, '\\$&')
  const writes = (verb: string) => new RegExp(`\\b${verb}\\s+(?:ONLY\\s+)?(?:(?:"[^"]+"|\\w+)\\.)?"?${named}"?(?!\\w)`, 'i').test(text)
  const inserts = writes('INSERT INTO')
  const updates = writes('UPDATE') || (inserts && /\bDO UPDATE\b/i.test(text))
  return ['SELECT', ...(inserts ? ['INSERT'] : []), ...(updates ? ['UPDATE'] : []), ...(writes('DELETE FROM') ? ['DELETE'] : [])]
}
