/** A text as one word of a shell, quoted where it must be. */
export function shellWord(text: string): string {
  return /^[\w.,:=@%/+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/**
 * A message whose commands can be typed as they stand: where an error was made nobody knew the file, so it says `pipe retry
 * FILE`, and this puts in the one that the user named.
 */
export function typable(text: string, file: string): string {
  return text.replace(/\b(pipe [a-z]+) FILE\b/g, (_, command: string) => `${command} ${shellWord(file)}`)
}
