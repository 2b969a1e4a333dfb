import { existsSync, readFileSync } from 'node:fs'
import type { Json } from '../sdk/index.js'

/** What a file of `schemas/` holds: beside the sources, or beside what was made of them. */
export function shipped(name: string): Json {
  const places = ['../../schemas/', '../../../schemas/'].map((folder) => new URL(`${folder}${name}`, import.meta.url))
  const found = places.find((place) => existsSync(place))
  if (!found) throw new Error(`schemas/${name} is missing from this installation`)
  // Written by our own generator or test.
  return JSON.parse(readFileSync(found, 'utf8')) as Json
}
