import { changedParts } from '../pipeline/steps/fingerprint.js'

/** Fingerprint of rows that `pipe reset` uncovered: no step has it, so they are done again. */
export const RESET_FINGERPRINT = 'reset'

/**
 * Stands before the fingerprint of an older definition once a row of the new one may have overwritten its rows: with the
 * old definition again, they are not taken for done.
 */
const CHANGED = 'changed '

/** A fingerprint that no step has, which remembers what it was. */
export function outdated(fingerprint: string): string {
  return fingerprint === RESET_FINGERPRINT || fingerprint.startsWith(CHANGED) ? fingerprint : CHANGED + fingerprint
}

/** Why something done under `before` is to be done again under `now`. */
export function redoReason(before: string, now: string): string {
  if (before === RESET_FINGERPRINT) return 'reset'
  const parts = changedParts(before.startsWith(CHANGED) ? before.slice(CHANGED.length) : before, now)
  return parts.length > 0 ? `changed: ${parts.join(', ')}` : 'changed'
}
