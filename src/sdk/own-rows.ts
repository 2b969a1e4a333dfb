/** Texts that columns have in rows: those of an output's `constants`, or those that a reader asks for. */
export type Texts = Readonly<Record<string, string>>

/** Whether a row may have both: no column is one text here and another there. */
export const maySame = (some: Texts, others: Texts): boolean =>
  Object.entries(some).every(([column, text]) => others[column] === undefined || others[column] === text)
