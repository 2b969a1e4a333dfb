/**
 * Text from a chain or a provider, made safe to print: control characters (so newlines and terminal escapes), characters
 * that turn or hide text, and halves of surrogate pairs are shown as `\n`, `\x1b`, `\u202e`.
 */
export function escapeText(text: string): string {
  return text.replace(unsafe, (character) => short[character] ?? escaped(character))
}

/** One line of JSON that means the same and holds none of those characters. Bigints become text. */
export function jsonLine(value: unknown): string {
  return escapeJson(JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item)))
}

/** JSON that means the same and holds none of those characters. */
export function escapeJson(text: string): string {
  return text.replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** What was thrown, for who looks for the mistake: its words on one line, whatever they hold, and the places of its stack below. */
export function errorLines(error: unknown): string {
  if (!(error instanceof Error)) return escapeText(String(error))
  const places = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line))
  return [`${error.name}: ${error.message}`, ...places].map(escapeText).join('\n')
}

/**
 * C0 and C1 controls, soft hyphen, Arabic letter mark, zero-width characters, line separators, bidirectional controls,
 * byte order mark, lone surrogates.
 */

const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
