/** `1,234,567`. Of a fraction below 10, as many digits as show that it is one: `0.4` days, of which `0.01` are missing. */
export function count(number: number): string {
  if (number < 10 && Math.abs(number - Math.round(number)) > 1e-6) {
    let digits = 1
    while (Number.isInteger(Number(number.toFixed(digits)))) digits++
    return number.toFixed(digits)
  }
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
