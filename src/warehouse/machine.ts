import { totalmem } from 'node:os'

/** Bytes of memory that the machine has, or that a container may have of it. */
export function machineMemory(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}
