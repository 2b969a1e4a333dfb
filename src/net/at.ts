/** The element of a list at a place that is known to exist, in loops too hot for a check. */
export function at<T>(list: readonly T[], index: number): T {
  // The caller counts within the list.
  return list[index] as T
}
