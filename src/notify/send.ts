import type { ProxyOf } from '../net/proxies.js'
import type { Receiver } from '../pipeline/receivers.js'
import type { Clock } from '../sdk/index.js'
import { mail } from './mail.js'
import { post } from './post.js'
import type { Notice } from './watch.js'
import { type From, mailOf, slackBody, webhookBody } from './words.js'

export interface SendOptions {
  readonly from: From
  readonly clock: Clock
  readonly proxyOf: ProxyOf
  readonly redact: (text: string) => string
}

/** Sends a notice in the form that its receiver takes. @throws {NoticeFailedError} */
export function sender(options: SendOptions): (receiver: Receiver, notice: Notice, signal: AbortSignal) => Promise<void> {
  const { from, redact } = options
  return (receiver, notice, signal) => {
    switch (receiver.type) {
      case 'webhook':
        return post(receiver, webhookBody(notice, from), options, signal)
      case 'slack':
        return post(receiver, slackBody(notice, from), options, signal)
      case 'smtp':
        return mail(receiver, mailOf(notice, from), redact)
    }
  }
}
