/**
 * A browser has six connections for a server, over all of its windows. So many of them listen all the time; the others look now and then,
 * so that buttons get through however many are open.
 */
const SLOTS = 4

/** Does work in one of the slots, else without one (`isShort`): then it is to let go soon. */
export async function inSlot(work: (isShort: boolean) => Promise<void>): Promise<void> {
  // Only where the page came by https or from this machine.
  const locks = (navigator as { readonly locks?: LockManager }).locks
  if (!locks) return work(false)
  for (let slot = 0; slot < SLOTS; slot++) {
    const had = await locks.request(`pipe stream ${slot}`, { ifAvailable: true }, async (lock) => {
      if (lock) await work(false)
      return lock !== null
    })
    if (had) return
  }
  return work(true)
}
