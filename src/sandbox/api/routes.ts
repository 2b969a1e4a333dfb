import { lists } from './lists.js'
import { stacksV1, stacksV3 } from './stacks.js'
import type { List } from './page.js'

/** Lists by path. */
export const routes: Readonly<Record<string, List>> = {
  '/extended/v3/transactions': stacksV3,
  '/extended/v1/tx': stacksV1,
  ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [`/lists/${name}`, list])),
}
