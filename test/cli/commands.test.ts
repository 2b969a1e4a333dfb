import { expect, it, test } from 'vitest'
import { program } from '../../src/cli/program.js'
import { command, takes, typable } from '../../src/sdk/commands.js'

const about = {
  file: 'my file.yaml',
  demo: true,
  follow: true,
  params: { to: "it's", from: '5' },
  select: ['a', 'b'],
  state: 'sqlite:s.db',
}

it.each([
  ['run', `pipe run 'my file.yaml' --demo --follow --param 'to=it'\\''s' --param from=5 --select a,b --state sqlite:s.db`],
  ['plan', `pipe plan 'my file.yaml' --demo --param 'to=it'\\''s' --param from=5 --select a,b --state sqlite:s.db`],
  ['verify', `pipe verify 'my file.yaml' --demo --param 'to=it'\\''s' --param from=5 --state sqlite:s.db`],
  ['reset', `pipe reset 'my file.yaml' --demo --param 'to=it'\\''s' --param from=5 --state sqlite:s.db`],
  ['status', `pipe status 'my file.yaml' --demo --state sqlite:s.db`],
] as const)('%s is advised with all that it takes of what the user asked for', (verb, text) => {
  expect(command(verb, about)).toBe(text)
  expect(typable(`look: pipe ${verb} FILE, then`, about)).toBe(`look: ${text}, then`)
})

test('what commands are advised with is what they take', () => {
  const flags = { demo: '--demo', follow: '--follow', params: '--param', select: '--select' }
  const quiet = {
    version: '0',
    state: undefined,
    color: false,
    columns: 80,
    stdout: () => undefined,
    stderr: () => undefined,
    exit: () => undefined,
  }
  const all = program({} as never, quiet).commands
  const found = Object.keys(takes).map((verb) => {
    const options = all.find((one) => one.name() === verb)?.options.map(({ long }) => long) ?? []
    return [verb, Object.entries(flags).flatMap(([name, long]) => (options.includes(long) ? [name] : []))]
  })
  expect(Object.fromEntries(found)).toEqual(takes)
})
