import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { projectFolder } from './support/folder.js'

const page = readFileSync(join(projectFolder, 'ARCHITECTURE.md'), 'utf8')

test('everything that the page finds a place for is defined there', () => {
  const named = [...page.matchAll(/\[`(\w+)`\]\(([^)]+)\)/g)].map(([, name = '', file = '']) => ({ name, file }))
  const wrong = named.filter(({ name, file }) => {
    const path = join(projectFolder, file)
    return (
      !existsSync(path) ||
      !new RegExp(`^(export )?(async |abstract )?(function\\*?|class|const) ${name}\\b`, 'm').test(readFileSync(path, 'utf8'))
    )
  })
  expect(wrong).toEqual([])
  expect(named.length).toBeGreaterThan(40)
})

test('every room of src has its line in the map', () => {
  const rooms = readdirSync(join(projectFolder, 'src'), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [`src/${entry.name}`] : [],
  )
  const mapped = [...page.matchAll(/^\| `([\w/]+)` \|/gm)].map(([, room]) => room)
  expect(mapped.sort()).toEqual([...rooms, 'plugins'].sort())
})

test('what lint and tests call decision 11 is decision 11', () => {
  expect(page).toMatch(/^11\. \*\*Clock, network, randomness are passed in\.\*\*/m)
})
