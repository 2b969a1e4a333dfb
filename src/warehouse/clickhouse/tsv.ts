/** Lines as a table of SQL. The text is quoted as a whole by a tag that is not in it, so nothing in it is SQL. */
export function table(structure: string, data: string): string {
  let tag = '$pipe$'
  for (let i = 0; data.includes(tag); i++) tag = `$pipe${i}$`
  return `format(TabSeparated, '${structure}', ${tag}${data}${tag})`
}

/** A text in tab-separated values. */
export function escape(text: string): string {
  return /[\\\t\n\r\0]/.test(text)
    ? text.replace(/[\\\t\n\r\0]/g, (char) =>
        char === '\t' ? '\\t' : char === '\n' ? '\\n' : char === '\r' ? '\\r' : char === '\0' ? '\\0' : '\\\\',
      )
    : text
}
