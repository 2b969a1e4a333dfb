export { openClickhouse } from './open.js'
