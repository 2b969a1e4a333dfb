import { isIP } from 'node:net'
import type { MailReceiver } from '../pipeline/receivers.js'
import { NoticeFailedError } from './notice-failed.js'

const TIMEOUT_MS = 10_000

/** Sends a mail. A password goes over an encrypted line, or within this machine, only. @throws {NoticeFailedError} unless it is accepted. */
export async function mail(
  { url: address, from, to }: MailReceiver,
  message: { readonly subject: string; readonly text: string },
  redact: (text: string) => string,
): Promise<void> {
  const url = new URL(address)
  const { createTransport } = await import('nodemailer')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const secure = url.protocol === 'smtps:'
  const auth = url.username === '' ? undefined : { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) }
  const transport = createTransport({
    host,
    port: Number(url.port) || (secure ? 465 : 587),
    secure,
    requireTLS: auth !== undefined && !isHere(host),
    auth,
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  try {
    await transport.sendMail({ from, to: [...to], ...message })
  } catch (error) {
    const { message: words, responseCode } = error as Error & { readonly responseCode?: number }
    throw new NoticeFailedError(url.host, `did not take the mail: ${redact(words)}`, responseCode === undefined || responseCode < 500)
  } finally {
    transport.close()
  }
}

const isHere = (host: string) => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
