import { type ColumnType, isExactNumber } from '../sdk/index.js'

const ZERO_ZONE = '(Z|[+]00(:?00)?)?'

/**
 * A pattern that a text must have to go into a column as it is, for the regular expressions of every warehouse, or
 * undefined where any may. Their casts round a number with too many digits, and drop the zone of a time or the hour of a
 * day, without a word.
 */
export function textPattern(type: ColumnType): string | undefined {
  if (type.kind === 'decimal') return `^-?[0-9]+([.][0-9]{0,${type.scale}}0*)?$`
  if (isExactNumber(type)) return '^-?[0-9]+$'
  if (type.kind === 'timestamp') return `^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{0,6}0*)?)?${ZERO_ZONE})?$`
  if (type.kind === 'date') return `^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]00:00(:00([.]0*)?)?${ZERO_ZONE})?$`
  return undefined
}

/** A pattern of texts that have more fraction digits than a number of that type: casts round them, or cut them off. */
export function tooFine(type: ColumnType): string {
  return `^-?[0-9]*[.][0-9]{${type.kind === 'decimal' ? type.scale : 0}}[0-9]*[1-9][0-9]*$`
}
