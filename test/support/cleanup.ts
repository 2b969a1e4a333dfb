import { afterAll } from 'vitest'

const pending: (() => unknown)[] = []

/** Runs `undo` when the test file that imported this has ended, last first, whatever became of its tests. */
export function atEnd(undo: () => unknown): void {
  pending.push(undo)
}

afterAll(async () => {
  for (const undo of pending.splice(0).reverse()) await undo()
})
