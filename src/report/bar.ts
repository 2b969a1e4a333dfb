/** A bar of `width` columns: what is done, to half a column, and what is left. It is full only when all is done. */
export function bar(done: number, total: number, width: number): { readonly full: string; readonly rest: string } {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 1
  const halves = Math.floor(share * width * 2)
  const full = '━'.repeat(halves >> 1) + (halves % 2 === 1 ? '╸' : '')
  return { full, rest: '─'.repeat(width - full.length) }
}
