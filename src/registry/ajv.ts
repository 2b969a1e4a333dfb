/** ajv, for those who import it only when they need it: a CommonJS package in a bundle gives no names to a dynamic import. */
export { Ajv2020 } from 'ajv/dist/2020.js'
