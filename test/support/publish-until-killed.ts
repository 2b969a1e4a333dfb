/** Publishes version after version until it is killed: run as a process of its own by tests. `argv`: the URL of the warehouse, the first version. */
import { openWarehouse } from '../../src/warehouse/open.js'
import { fillSource, publish } from './publish.js'

const [, , url = '', first = '1'] = process.argv
const warehouse = await openWarehouse(url, { mode: 'write' })
await fillSource(warehouse)
for (let n = Number(first); ; n++) {
  await publish(warehouse, n, { before: () => process.stdout.write(`swapping ${n}\n`) })
  process.stdout.write(`swapped ${n}\n`)
}
