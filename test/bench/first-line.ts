import type { ChildProcess } from 'node:child_process'

/** The first line that a process prints: the URL of a fake server. @throws when it ends before. */
export async function firstLine(child: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk)
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'))
  }
  throw new Error('the server ended before it listened')
}
