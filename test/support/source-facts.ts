import { posix } from 'node:path'
import ts from 'typescript'
import type { SourceText } from '../../src/cli/generate/error-docs.js'

const below = ['plan', 'ledger', 'pipeline', 'registry', 'sdk']

/** What each room may import of ours. `cli` may import everything. */
const rule: Readonly<Record<string, readonly string[]>> = {
  sdk: [],
  ...Object.fromEntries(['net', 'postgres', 'proof', 'sandbox', 'plugins'].map((room) => [room, ['sdk']])),
  rpc: ['net', 'proof', 'sdk'],
  http: ['net', 'sdk'],
  programs: ['net', 'sdk'],
  ...Object.fromEntries(['warehouse', 'state'].map((room) => [room, ['postgres', 'sdk']])),
  registry: ['plugins', 'sdk'],
  schedule: ['sdk'],
  pipeline: ['registry', 'schedule', 'sdk'],
  ledger: ['pipeline', 'sdk'],
  plan: below.slice(1),
  run: below,
  // Looks at what was planned and done, runs nothing of it: it needs what `run` needs, and proves what nodes say.
  verify: [...below, 'proof'],
  // Renders what was planned, verified and kept, as well as what runs.
  report: [...below, 'state', 'verify'],
  // Tells people of the events of a run; what they know of lies in the state store.
  notify: ['net', 'pipeline', 'sdk', 'state'],
  // What a command, a server and a worker do with a pipeline: all that does work, and nothing of a terminal.
  session: [...below, 'http', 'net', 'notify', 'programs', 'proof', 'report', 'rpc', 'run', 'state', 'verify', 'warehouse'],
  // Answers over HTTP with what sessions, reports and the state store say; what it does, it does by commands.
  serve: [...below, 'net', 'report', 'schedule', 'session', 'state'],
  // A program of the browser: it knows the answers of the server, and counts as reports do.
  page: [...below, 'report', 'serve'],
}

const sentence =
  'cli -> everything; page -> serve, report; serve -> session, report, schedule, state, net; session -> run, report, notify, state, verify, warehouse, rpc, http, programs, net, proof; run -> plan -> ledger -> pipeline -> registry, schedule; notify -> pipeline, state, net; report -> verify, state, plan; verify -> plan, proof; rpc -> proof, net; http, programs -> net; warehouse, state -> postgres; schedule, net, postgres, proof, sandbox, plugins -> sdk only; sdk -> nothing of ours'

/** Imports that go up, or sideways: `file:line imports what, but <the rule>`. */
export function importProblems(sources: readonly SourceText[]): readonly string[] {
  return sources.flatMap((source) => {
    const room = roomOf(source.file)
    const allowed = rule[room]
    return importsOf(source)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map((found) => ({ ...found, target: roomOf(posix.join(posix.dirname(source.file), found.specifier)) }))
      .filter(({ target, specifier }) => (allowed && target !== room && !allowed.includes(target)) || !/\.(js|json)$/.test(specifier))
      .map(({ line, specifier }) => `${source.file}:${line} imports ${specifier}, but ${sentence}; all by the name of the compiled file`)
  })
}

/** Built-in steps that use what a stranger's step could not: another step's folder, or what `pipe/sdk` does not export. */
export function pluginProblems(sources: readonly SourceText[]): readonly string[] {
  return sources
    .filter(({ file }) => /^plugins\/[^/]+\//.test(file))
    .flatMap((source) => {
      const own = `${source.file.split('/').slice(0, 2).join('/')}/`
      return importsOf(source)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .filter(({ specifier }) => !posix.join(posix.dirname(source.file), specifier).startsWith(own))
        .filter(({ specifier }) => posix.join(posix.dirname(source.file), specifier) !== 'src/sdk/authors.js')
        .map(
          ({ line, specifier }) =>
            `${source.file}:${line} imports ${specifier}, but a step imports src/sdk/authors.js and its own folder only`,
        )
    })
}

/** `src/rpc/pool.ts` is of room `rpc`, `src/registry.ts` of `registry`, `plugins/gate/gate.ts` of `plugins`. */
function roomOf(path: string): string {
  const [top, second = ''] = path.split('/')
  return top === 'src' ? second.replace(/\.(ts|js)$/, '') : (top ?? '')
}

/** Uses of the clock, randomness, network or process outside `src/cli` and `src/page` that `adapters` does not allow to their file. */
export function outsideProblems(sources: readonly SourceText[], adapters: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return sources
    .filter(({ file }) => !/^src\/(cli|page)\//.test(file))
    .flatMap((source) =>
      outsideUses(source)
        .filter(({ name }) => !adapters[source.file]?.includes(name))
        .map(({ name, line }) => `${source.file}:${line} uses ${name}, which is passed in (ARCHITECTURE, decision 11)`),
    )
}

/** One import of one file: static, dynamic, or of a type only. */
interface ImportFact {
  readonly specifier: string
  readonly line: number
  readonly typeOnly: boolean
}

/** Everything that a source file imports. */
function importsOf({ file, text }: SourceText): readonly ImportFact[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const found: ImportFact[] = []
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean): void => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return
    found.push({ specifier: specifier.text, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1, typeOnly })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    if (ts.isExportDeclaration(node)) add(node, node.moduleSpecifier, node.isTypeOnly)
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal, true)
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node, node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

const globals = new Set(['process', 'fetch', 'performance', 'setTimeout', 'setInterval', 'setImmediate', 'randomUUID', 'randomBytes'])
const modules = /^(node:)?(process|timers|timers\/promises|perf_hooks)$/
const members = new Set(['Date.now', 'Math.random', 'performance.now', 'crypto.randomUUID', 'crypto.getRandomValues'])

/** The clock, randomness, network and process that a source file takes by itself, as `name:line`. */
function outsideUses({ file, text }: SourceText): readonly { readonly name: string; readonly line: number }[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const found: { name: string; line: number }[] = []
  const visit = (node: ts.Node): void => {
    const name = outsideName(node)
    if (name) found.push({ name, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 })
    ts.forEachChild(node, visit)
  }
  visit(source)
  for (const { specifier, line } of importsOf({ file, text })) if (modules.test(specifier)) found.push({ name: specifier, line })
  return found
}

function outsideName(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && members.has(node.getText())) return node.getText()
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && !node.arguments?.length) return 'new Date()'
  if (ts.isIdentifier(node) && globals.has(node.text) && isGlobal(node)) return node.text
  return undefined
}

/** Not a field, a key, a parameter or anything else that only has the same name. */
function isGlobal(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node && !members.has(parent.getText())
  if (ts.isTypeNode(parent) || ts.isQualifiedName(parent)) return false
  if ('name' in parent && parent.name === node) return false
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false
  return true
}
