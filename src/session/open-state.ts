import type { StateStore } from '../state/store.js'
import { stateUrl } from './places.js'
import type { Surroundings } from './surroundings.js'

/** Opens the state store. Of the runs of this machine it can tell whether they live. `readOnly`: a store that is not there is an empty one. */
export async function openState(state: string, surroundings: Surroundings, { readOnly = false } = {}): Promise<StateStore> {
  const { clock, host } = surroundings
  const { openStateStore } = await import('../state/open.js')
  return openStateStore(stateUrl(state, surroundings), { clock, machine: { host, alive: (pid) => surroundings.alive(pid) }, readOnly })
}
