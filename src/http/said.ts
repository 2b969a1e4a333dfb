import { type Saying, sayingOf, type UnfitReply } from '../sdk/index.js'

/** What a reply of status 200 that tells of an error means for the source: by its words, then by the status that stands in it. */
export function said({ text, status, rated = false }: Pick<UnfitReply, 'text' | 'status' | 'rated'>): Saying {
  const told = sayingOf(text)
  const known = told?.class === 'SERVER' ? undefined : told?.class
  return { class: rated ? 'RATE' : (known ?? byStatus(status)), waitMs: told?.waitMs }
}

function byStatus(status: number | undefined): Saying['class'] {
  if (status === 429) return 'RATE'
  if (status === 402) return 'QUOTA'
  return status === 401 || status === 403 ? 'AUTH' : 'SERVER'
}
