import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.js'

export interface Mailbox {
  readonly port: number
  /** What was said to it in all sessions, line by line, and the mails as they came. */
  readonly said: string[]
}

/** A mail server of a few words, as RFC 5321 has them. It takes the login and every mail but those to `nobody@…`. */
export async function mailbox(): Promise<Mailbox> {
  const said: string[] = []
  const server = createServer((socket) => converse(socket, said))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => void server.close())
  // A server that listens on a port has one.
  return { port: (server.address() as AddressInfo).port, said }
}

function converse(socket: Socket, said: string[]): void {
  let rest = ''
  let data = false
  const answer = (line: string): string => {
    if (data) {
      data = line !== '.'
      return data ? '' : '250 taken'
    }
    const [verb = ''] = line.toUpperCase().split(' ')
    data = verb === 'DATA'
    if (verb === 'EHLO') return '250-here\r\n250 AUTH PLAIN'
    if (verb === 'AUTH') return '235 welcome'
    if (/^RCPT TO:<nobody@/i.test(line)) return '550 no such mailbox'
    return { DATA: '354 go on', QUIT: '221 bye' }[verb] ?? '250 ok'
  }
  socket.on('error', () => undefined)
  socket.write('220 here\r\n')
  socket.on('data', (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      said.push(line)
      const reply = answer(line)
      if (reply !== '') socket.write(`${reply}\r\n`)
      if (reply.startsWith('221')) socket.end()
    }
  })
}
