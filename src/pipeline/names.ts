import type { Where } from './yaml/node.js'
import type { Problems } from './yaml/problems.js'

const KINDS = {
  step: { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,62}$/, wants: 'letters, digits, `-` and `_`, beginning with a letter, at most 63' },
  table: { pattern: /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, wants: 'letters, digits and `_`, not beginning with a digit, at most 63' },
  column: { pattern: /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, wants: 'letters, digits and `_`, not beginning with a digit, at most 63' },
  index: { pattern: /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, wants: 'letters, digits and `_`, not beginning with a digit, at most 63' },
  param: { pattern: /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, wants: 'letters, digits and `_`, not beginning with a digit, at most 63' },
  chain: { pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, wants: 'letters, digits, `-` and `_`, at most 63' },
  source: { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,62}$/, wants: 'letters, digits, `-` and `_`, beginning with a letter, at most 63' },
  axis: { pattern: /^[A-Za-z_][A-Za-z0-9_]{0,62}$/, wants: 'letters, digits and `_`, not beginning with a digit, at most 63' },
} as const

export type NameKind = keyof typeof KINDS

/** Checks names of one kind as they come: allowed signs, no names that objects have by themselves, none that differ only by case. */
export function nameChecker(kind: NameKind, problems: Problems): (name: string, where: Where) => boolean {
  const { pattern, wants } = KINDS[kind]
  const seen = new Map<string, { readonly name: string; readonly where: Where }>()
  return (name, where) => {
    const noun = kind === 'step' ? 'step id' : `${kind} name`
    if (!pattern.test(name)) {
      problems.error(where, `${noun} ${shortName(name)} is not allowed`, `use ${wants}`)
      return false
    }
    if (name in Object.prototype) {
      problems.error(where, `${noun} \`${name}\` is not allowed`, 'choose another name')
      return false
    }
    const other = seen.get(name.toLowerCase())
    if (other) {
      const message =
        other.name === name ? `${noun} \`${name}\` is there twice` : `${noun} \`${name}\` differs from \`${other.name}\` only by case`
      problems.error(where, message, `the other is in line ${other.where.place.line}`)
      return false
    }
    seen.set(name.toLowerCase(), { name, where })
    return true
  }
}

/** With signs that can't be seen written out. */
function shortName(name: string): string {
  const text = JSON.stringify(name.length > 60 ? `${name.slice(0, 59)}…` : name)
  return `\`${text.slice(1, -1).replaceAll(/[^\x20-\x7e…]/g, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)}\``
}
