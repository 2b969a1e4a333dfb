/**
 * The version of a row is two numbers: the generation of its unit, and the commit of it. A generation is given to a unit
 * each time it is opened, higher than any that was given in this database before, so what a later owner writes always
 * counts more than what an earlier one may still write. No clock is involved.
 */
const SEQUENCE_BITS = 28n
const SEQUENCES = 1n << SEQUENCE_BITS

export function version(generation: bigint, sequence: bigint): bigint {
  if (sequence >= SEQUENCES)
    throw new Error(`unit of generation ${generation} has made ${sequence} commits, which no version can tell apart`)
  return (generation << SEQUENCE_BITS) | sequence
}

export const generationOf = (value: bigint): bigint => value >> SEQUENCE_BITS
export const sequenceOf = (value: bigint): bigint => value & (SEQUENCES - 1n)

/** SQL of the generation in a version. */
export const generationSql = (column: string): string => `bitShiftRight(${column}, ${SEQUENCE_BITS})`
