import { readdir, readFile } from 'node:fs/promises'

/** Kernel ticks a second, on every Linux that node runs on. */
const TICKS = 100

/**
 * Processor time, user and system, of a process and of all that it started and that still runs. Linux only.
 *
 * @throws when there is no /proc
 */
export async function cpuMsOf(pid: number): Promise<number> {
  return (await processesOf(pid)).reduce((sum, { ownMs }) => sum + ownMs, 0)
}

/** A process and all that it started and that still runs, each with its own processor time. Linux only. */
export async function processesOf(pid: number): Promise<readonly { readonly self: number; readonly ownMs: number }[]> {
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(statOf))
  const wanted = new Set([pid])
  let found = 0
  do {
    found = wanted.size
    for (const { self, parent } of all) if (wanted.has(parent)) wanted.add(self)
  } while (wanted.size > found)
  return all.filter(({ self }) => wanted.has(self)).map(({ self, used }) => ({ self, ownMs: (used * 1000) / TICKS }))
}

/** `pid (name) state parent …`, of which the 14th and 15th are the ticks; the name may hold anything. */
async function statOf(pid: string): Promise<{ readonly self: number; readonly parent: number; readonly used: number }> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { self: Number(pid), parent: Number(fields[1] ?? 0), used: Number(fields[11] ?? 0) + Number(fields[12] ?? 0) }
}
