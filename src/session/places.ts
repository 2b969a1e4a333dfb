import { dirname, join, resolve } from 'node:path'
import { localPlace } from '../sdk/index.js'
import type { Surroundings } from './surroundings.js'

/** Where the state store is, as an absolute URL. */
export function stateUrl(state: string, { cwd }: Pick<Surroundings, 'cwd'>): string {
  return state.startsWith('sqlite:') ? `sqlite:${resolve(cwd, state.slice('sqlite:'.length))}` : state
}

/** The folder for locks and other small files of runs. */
export function stateFolder(state: string, { cwd }: Pick<Surroundings, 'cwd'>): string {
  const url = stateUrl(state, { cwd })
  return url.startsWith('sqlite:') ? dirname(url.slice('sqlite:'.length)) : join(cwd, '.pipe')
}

/** A warehouse URL with the path of a file made absolute. */
export function warehouseUrl(url: string, { cwd }: Pick<Surroundings, 'cwd'>): string {
  const place = localPlace(url)
  return place && place.path !== ':memory:' ? `${place.scheme}:${resolve(cwd, place.path)}${place.settings}` : url
}
