import { mayBeKey } from '../net/text.js'

/** A part of a name that says that its value is not to be shown. */
const NAMED = /(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASS|PASSWD|PASSWORD|PASSPHRASE|CREDENTIALS?|MNEMONIC|AUTH|DSN|COOKIE)(_|$)/i

/**
 * What a program may know and must not be shown of its environment: values of variables whose names say so, and what a URL holds beside
 * its host.
 */
export function environmentSecrets(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const found = new Set<string>()
  for (const [name, value = ''] of Object.entries(env)) {
    if (NAMED.test(name)) found.add(value)
    for (const part of urlSecrets(value)) found.add(part)
  }
  return [...found]
}

function urlSecrets(text: string): readonly string[] {
  if (!/^\w[\w+.-]*:\/\//.test(text) || !URL.canParse(text)) return []
  const { password, pathname, searchParams } = new URL(text)
  const parts = [password, ...pathname.split('/'), ...searchParams.values()]
  return parts.filter((part) => part !== '' && (part === password || mayBeKey(part))).flatMap((part) => [part, decoded(part)])
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
