/** `1,234,567`. Of a fraction below 10, one digit: `0.4` days. */
export function count(number: number): string {
  if (number < 10 && Math.abs(number - Math.round(number)) > 1e-6) return number.toFixed(1)
  return Math.round(number)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A word that is given in the plural, as so many are called: `block` of one. */
export function noun(number: number | bigint, word: string): string {
  return Number(number) === 1 ? word.replace(/s$/, '') : word
}

/** `1 block`, `2 blocks`. The word is given in the plural. */
export function counted(number: number, word: string): string {
  return `${count(number)} ${noun(number, word)}`
}
