import { dirname } from 'node:path'
import type { Pipeline } from '../pipeline/pipeline.js'
import { localPlace } from '../sdk/index.js'
import { warehouseUrl } from '../session/places.js'

/** Changes a text so that it names no folder of this machine. */
export type Shown = (text: string) => string

/**
 * Takes the names of folders out of what is answered, also inside of JSON: those of the files and databases that are served, the
 * working folder and those that are given. A path below one of them stays, relative to it.
 */
export function createShown(pipelines: Iterable<Pipeline>, cwd: string, folders: readonly string[]): Shown {
  const found = new Set([cwd, ...folders])
  for (const { warehouse } of pipelines) {
    const place = localPlace(warehouseUrl(warehouse, { cwd }))
    if (place && place.path !== ':memory:') found.add(dirname(place.path))
  }
  // The longest first: a folder may lie in another one. What is the root of all says nothing.
  const names = [...found].filter((folder) => folder.length > 1).sort((a, b) => b.length - a.length)
  const written = names.flatMap((folder) => [folder, JSON.stringify(folder).slice(1, -1)])
  return (text) => {
    let shown = text
    for (const folder of written) {
      if (!shown.includes(folder)) continue
      for (const end of ['/', '\\\\', '\\', '']) shown = shown.replaceAll(`file://${folder}${end}`, '').replaceAll(`${folder}${end}`, '')
    }
    return shown
  }
}
