export { rowName } from '../sdk/index.js'
