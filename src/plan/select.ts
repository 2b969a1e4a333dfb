/** Whether `--select` names a step: by its id or, for all steps of a matrix, by the id before the bracket. Without `--select` all are named. */
export function isSelected(step: { readonly id: string }, select: readonly string[] | undefined): boolean {
  return !select || select.includes(step.id) || select.includes(step.id.replace(/\[.*\]$/, ''))
}
