import type { Axis, Order, Piece } from '../sdk/index.js'

/** Which part of its step's work a unit is, as JSON: places on an axis and keys are whole numbers as text, since JSON has none that is exact. */
export type PieceReport =
  /** A stretch, both ends included, of whole numbers (blocks, lines) or of microseconds UTC. */
  | { readonly kind: 'stretch'; readonly of: Axis['of']; readonly from: string; readonly to: string; readonly order: Order }
  /** Rows of a query. `keys`: the stretch of an integer key, both ends included. `redo`: also rows that the output has. */
  | { readonly kind: 'rows'; readonly keys?: readonly [from: string, to: string]; readonly redo: boolean; readonly order: Order }
  /** All that the step does. */
  | { readonly kind: 'task' }

export function pieceReport(piece: Piece): PieceReport {
  switch (piece.kind) {
    case 'stretch':
      return { kind: 'stretch', of: piece.axis.of, from: String(piece.from), to: String(piece.to), order: piece.order }
    case 'rows':
      return { kind: 'rows', keys: piece.keys && [String(piece.keys[0]), String(piece.keys[1])], redo: piece.redo, order: piece.order }
    case 'task':
      return { kind: 'task' }
  }
}
