import { shellWord } from '../report/commands.js'
import type { PlanOptions } from './options.js'

/** What stands behind `pipe run` for the same part of a pipeline with the same values: without them another range would be wanted. */
export function againOf(
  file: string,
  { params, select, demo = false }: Pick<PlanOptions, 'params' | 'select'> & { readonly demo?: boolean },
): string {
  return [
    shellWord(file),
    ...(demo ? ['--demo'] : []),
    ...Object.entries(params).map(([name, value]) => `--param ${shellWord(`${name}=${value}`)}`),
    ...(select ? [`--select ${shellWord(select.join(','))}`] : []),
  ].join(' ')
}
