/**
 * `pipe/sdk`: what the author of a step type needs, by name. The built-in step types import nothing else of the core. What
 * is not here may change at any time; what is here is kept.
 */
export { Type, type Static, type TSchema } from '@sinclair/typebox'

// A step type, and what it is given.
export { dayAxis, intervalAxis, numberAxis, timeAxis } from './axis.js'
export type { Axis, Interval } from './axis.js'
export { defineStep } from './step.js'
export type {
  Batch,
  BlockLink,
  ChainInfo,
  CheckContext,
  CheckResult,
  CheckSample,
  ConfigProblem,
  InputPage,
  KnownNames,
  Order,
  Output,
  Piece,
  PlanContext,
  Price,
  RunContext,
  StepDefinition,
  StepInput,
  Unit,
  Wanted,
} from './step.js'
export { type Check, checkProblems, checksSchema, describeChecks, evaluateCheck, evaluateChecks } from './checks.js'
export type { HttpClient, HttpOptions, HttpReply, HttpRequest, UnfitReply } from './http.js'
export { type BlockPart, provedBy } from './block-fields.js'
export { isList, type List, only, PackedList } from './packed-list.js'
export type { Files, Program, ProgramEnd, ProgramNews, RunningProgram } from './programs.js'
export { mayBeApart, receiptCalls } from './receipts.js'
export { sayingOf, type Saying } from './wordings.js'
export type {
  Belief,
  BlockParts,
  Disproof,
  KeptFields,
  LogFilter,
  LogsOptions,
  LogsPage,
  RpcAnswers,
  RpcCall,
  RpcLog,
  RpcOptions,
  RpcPool,
  RpcTurn,
  UsedField,
} from './rpc.js'
export type { ResultColumn, WarehouseReader } from './stores.js'
export type { Column, ColumnType, Json, Param, Row, Statement, Table, Value } from './values.js'

// Errors: those of a step type extend PipeError.
export {
  isPipeError,
  KeyConflictError,
  PipeError,
  placed,
  UnitIncompleteError,
  UnitTakenError,
  ValueError,
  WarehouseOpenError,
} from './errors.js'
export { closest, didYouMean } from './suggest.js'

// `$name`s and SQL.
export { referenceName, referencesIn, textReferences, type Reference, type TextReference } from './names.js'
export {
  bindSql,
  lookUp,
  paramText,
  SqlTextError,
  sqlProblem,
  type SqlProblem,
  sqlReferences,
  substitute,
  substituteText,
  UnknownReferenceError,
} from './references.js'
export type { Scope } from './scope.js'
export { identifier, sql } from './values.js'
export { DialectError, type SqlByWarehouse, sqlFor, sqlTexts } from './dialect.js'
export { queryColumnProblems, SelectColumnsError } from './query-columns.js'
export { shadowName } from './shadows.js'
export { queryProblem, readsOnly, tablesIn } from './sql-tables.js'

// Records of a reply as rows: `row`, `rows` and `compute`.
export {
  checkRow,
  checkRowsPart,
  computeSchema,
  rowMakers,
  rowNames,
  rowOutputs,
  rowSchema,
  type RowsConfig,
  rowsOf,
  rowsSchema,
} from './rows.js'
export {
  compileEach,
  compileField,
  compilePath,
  compileRow,
  fieldPath,
  type Getter,
  isTimeField,
  pathRoot,
  type Records,
  type TimeRule,
} from './mapping.js'
export { JsonNumber } from './json-number.js'

// Logs by the ABI text of their event.
export type { AbiType, AbiValue } from './abi/decode.js'
export { AbiTextError, type DecodedLog, event, type EventDecoder, type EventInput } from './abi/event.js'
export { counted } from './counted.js'
export { textFault } from './abi/text-fault.js'

// Time.
export { formatDay, formatInstant, parseDay, parseInstant } from './calendar.js'
export { formatDuration, parseDuration } from './duration.js'
export {
  blockTimes,
  readTime,
  showRange,
  type TimeField,
  timeRange,
  type TimeRange,
  timeRangeSchema,
  type TimeUnit,
  timeUnitSchema,
  unitWithin,
  USUAL_TIMES,
  within,
} from './times.js'
export { turn } from './turn.js'
