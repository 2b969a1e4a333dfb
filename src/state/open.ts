import { type Clock, pathFault, urlFault } from '../sdk/index.js'
import { StateFileError } from './file-errors.js'
import type { StateStore } from './store.js'

export interface StateOptions {
  readonly clock: Clock
  /** This machine, to tell a run that lives from one that was killed. Without it only locked files tell. */
  readonly machine?: { readonly host: string; alive(pid: number): boolean }
  /** For those who only look: a store that does not exist is an empty one and is not created. */
  readonly readOnly?: boolean
}

/**
 * Opens the state store at `sqlite:PATH` or `postgres://…`, creating what is missing of it. Several processes may have it
 * open.
 *
 * @throws {StateFileError} naming the path, when it can't be used.
 * @throws {StateServerError} when the server can't be used.
 * @throws {StateNewerError} when a later version wrote it.
 */
export async function openStateStore(url: string, options: StateOptions): Promise<StateStore> {
  const scheme = /^[a-z][a-z0-9+.-]*(?=:)/i.exec(url)?.[0]
  const fault = scheme === 'sqlite' ? pathFault(scheme, url.slice('sqlite:'.length)) : url.includes('://') ? urlFault(url) : undefined
  if (fault) throw new StateFileError(scheme === undefined ? 'the state store' : `${scheme}:…`, fault.message, fault.hint)
  if (scheme === 'sqlite') return (await import('./sqlite.js')).openSqliteState(url.slice('sqlite:'.length), options)
  if (/^postgres(ql)?:/i.test(url)) return (await import('./postgres.js')).openPostgresState(url, options)
  throw new StateFileError(
    scheme ? `${scheme}:…` : 'the state store',
    'is no state store that this version knows',
    'use sqlite:PATH, for example sqlite:.pipe/state.db, or postgres://USER:PASSWORD@HOST/DATABASE',
  )
}
