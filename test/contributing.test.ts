import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunEvent } from '../src/sdk/index.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { runPipe } from './support/spawn-pipe.js'

const page = readFileSync(join(projectFolder, 'CONTRIBUTING.md'), 'utf8')

/** The block of the page that follows the line which names the file. */
function fileOf(name: string): string {
  const [, block] = new RegExp(`\`${name.replace('.', '\\.')}\`[^\\n]*:\\n\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(page) ?? []
  if (block === undefined) throw new Error(`CONTRIBUTING.md has no ${name}`)
  return block
}

/** A project of somebody else, which has `pipe` installed and holds the files of the page. */
function project(files: readonly string[]): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(projectFolder, join(folder, 'node_modules/pipe'))
  for (const name of ['vitest', '@types']) symlinkSync(join(projectFolder, 'node_modules', name), join(folder, 'node_modules', name))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const name of files) writeFileSync(join(folder, name), fileOf(name))
  return folder
}

/** Runs `lines.yaml` as it is or changed, to its end. */
async function runLines(cwd: string, change: (yaml: string) => string = (yaml) => yaml) {
  writeFileSync(join(cwd, 'lines.yaml'), change(fileOf('lines.yaml')))
  const { code, stdout, stderr } = await runPipe(['run', 'lines.yaml', '--output', 'json'], { cwd })
  const events = stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as RunEvent] : []))
  const units = events.flatMap((event) => (event.type === 'unit:started' ? [event.unit] : [])).sort()
  return { code, stderr, units }
}

async function linesIn(cwd: string): Promise<readonly Readonly<Record<string, string | null>>[]> {
  const { lines } = await readDuckdb(join(cwd, 'lines.duckdb'), { tables: ['lines'] })
  return lines?.rows ?? []
}

const numbers = (to: number) => Array.from({ length: to }, (_, i) => i + 1)

test('the commands of the page do what the page says', async () => {
  const cwd = project(['file-lines.ts', 'lines.yaml'])
  const [, script = ''] = /```sh\n(seq [\s\S]*?)```/.exec(page) ?? []
  const npx = `npx() { shift; "${process.execPath}" "${join(projectFolder, 'bin/pipe.js')}" "$@"; }`
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', `${npx}\n${script}`], { cwd, encoding: 'utf8' })
  expect({ status, stderr: status === 0 ? '' : stderr + stdout }).toEqual({ status: 0, stderr: '' })
  for (const said of ['2,500 of 2,500 lines', 'no missing lines', '100 of 100 lines', 'nothing found']) expect(stdout).toContain(said)
  expect((await linesIn(cwd)).map(({ line, text }) => [line, text])).toEqual(numbers(2_600).map((n) => [String(n), String(n)]))
}, 120_000)

test('a unit that was interrupted goes on behind what its batches covered, and a changed definition does all of it again', async () => {
  const cwd = project(['file-lines.ts'])
  writeFileSync(join(cwd, 'lines.txt'), `${numbers(2_500).join('\n')}\n`)
  writeFileSync(
    join(cwd, 'torn.ts'),
    `import { fileLines } from './file-lines.ts'
export const torn = { ...fileLines, async *run(context) {
  let batches = 0
  for await (const batch of fileLines.run(context)) {
    if (batches++ === 3) throw new Error('torn off')
    yield batch
  }
} }`,
  )
  const first = await runLines(cwd, (yaml) => yaml.replace('file-lines.ts', 'torn.ts'))
  expect([first.code, first.units]).toEqual([1, ['1-999', '1000-1999', '2000-2500']])
  const second = await runLines(cwd)
  expect([second.code, second.units]).toEqual([0, ['1300-1999', '2300-2500', '301-999']])
  expect((await linesIn(cwd)).map(({ text }) => text)).toEqual(numbers(2_500).map(String))

  const changed = await runLines(cwd, (yaml) => yaml.replace('lines.txt }', 'lines.txt, prefix: "> " }'))
  expect([changed.code, changed.units]).toEqual([0, ['1-999', '1000-1999', '2000-2500']])
  expect((await linesIn(cwd)).map(({ text }) => text)).toEqual(numbers(2_500).map((n) => `> ${n}`))
  expect(await runPipe(['verify', 'lines.yaml'], { cwd })).toMatchObject({ code: 0 })
}, 120_000)

test('the test of the page passes, and both of its files have right types', () => {
  const cwd = project(['file-lines.ts', 'file-lines.test.ts'])
  const compilerOptions = { rootDir: '/', types: ['node'] }
  writeFileSync(
    join(cwd, 'tsconfig.json'),
    JSON.stringify({ extends: join(projectFolder, 'tsconfig.json'), compilerOptions, include: ['*.ts'] }),
  )
  for (const args of [
    ['typescript/bin/tsc', '-p', cwd],
    ['vitest/vitest.mjs', 'run', '--root', cwd],
  ]) {
    const [program = '', ...rest] = args
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(projectFolder, 'node_modules', program), ...rest], {
      cwd,
      encoding: 'utf8',
    })
    expect({ status, output: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, output: '' })
  }
}, 120_000)
