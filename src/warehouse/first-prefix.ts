/** How many of the first rows it takes at least to fail, given that all of them do. The last of them is to blame. */
export async function firstPrefix(rows: number, fails: (n: number) => Promise<boolean>): Promise<number> {
  let [passes, failing] = [0, rows]
  while (failing - passes > 1) {
    const middle = (passes + failing) >> 1
    if (await fails(middle)) failing = middle
    else passes = middle
  }
  return failing
}
