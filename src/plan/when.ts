import type { Pipeline, Step } from '../pipeline/pipeline.js'

/** Whether the params are what the step's `when` asks for. Compared as text. */
export function whenHolds(
  step: Step,
  { pipeline, given }: { readonly pipeline: Pipeline; readonly given: Readonly<Record<string, string>> },
): boolean {
  return Object.entries(step.when).every(
    ([param, wanted]) => String(given[param] ?? pipeline.params.get(param)?.default) === String(wanted),
  )
}
