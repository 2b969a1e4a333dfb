export { openDuckdb, type DuckdbOptions } from './open.js'
