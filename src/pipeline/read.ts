import { dirname, resolve } from 'node:path'
import { loadRegistry } from '../registry.js'
import { type SchemaChecker, schemaChecker } from './schema/check-schema.js'
import { DEFAULT_RETRY, ofVariables, readChains, readRetry, readSources } from './connections.js'
import { type Declared, declaredIn, withImported } from './yaml/declared.js'
import { filesOf } from './files-of.js'
import { withEndpointFiles } from './endpoint-files.js'
import { readVariables, resolveEnvironment, type Variables } from './yaml/environment.js'
import { type LoadedFile, loadFiles, locateFolder } from './yaml/files.js'
import { axesOf } from './steps/matrix.js'
import { checkMigrations } from './migrations.js'
import {
  type Entry,
  type Field,
  fieldOf,
  isTemplated,
  itemsOf,
  mapScalars,
  type Node,
  type Path,
  rootField,
  numberOf,
  textOf,
} from './yaml/node.js'
import { readParamDefinitions } from './params/param-definitions.js'
import type { Pipeline, Problem } from './pipeline.js'
import { collectProblems, type Problems } from './yaml/problems.js'
import { secretParts, secretsOf, secretValues } from './secrets.js'
import { readReceivers } from './receivers.js'
import { readSchedule } from './read-schedule.js'
import { readSteps } from './steps/steps.js'
import { readTables } from './tables.js'
import { pathFault, referenceName, type Scope, type UrlFault, urlFault } from '../sdk/index.js'

export interface ReadOptions {
  /** The working folder, absolute: relative paths of people are relative to it. */
  readonly cwd: string
  readonly env: Variables
  /** Whether a variable that is missing is an error (a run needs it) or a warning (validate does not). */
  readonly environment: 'require' | 'warn'
  /** `--param name=value`: they can change what a matrix expands to. */
  readonly params?: Readonly<Record<string, string>> | undefined
}

export interface ReadResult {
  /** Undefined when there is an error, or the file is a sound one that only others import. */
  readonly pipeline: Pipeline | undefined
  /** All that is wrong, sorted by place, each once. */
  readonly problems: readonly Problem[]
}

/** Reads a pipeline file and checks everything that can be checked without network and database. Never throws because of what a file says. */
export async function readPipeline(file: string, options: ReadOptions): Promise<ReadResult> {
  const problems = collectProblems()
  const cwd = resolve(options.cwd)
  const environment = await readVariables(dirname(resolve(cwd, file)), cwd, options.env, problems)
  const missing = options.environment === 'require' ? 'error' : 'warning'
  const resolveAt = (node: Node, path: Path): Node =>
    resolveEnvironment(node, { environment, missing, problems, path, references: path[0] === 'steps' || path[0] === 'params' })

  const loaded = await loadFiles(file, cwd, problems, (imports) => resolveAt(imports, ['imports']))
  const result = (pipeline?: Pipeline): ReadResult => ({
    pipeline: problems.failed ? undefined : pipeline,
    problems: problems.all(loaded.names),
  })
  if (!loaded.main) return result()

  // Chains and sources wait until it is known which are used.
  const early = (read: LoadedFile): LoadedFile =>
    withSections(read, (section, node) => (section === 'chains' || section === 'sources' ? node : resolveAt(node, [section])))
  const joined = withImported(loaded.main, loaded.shared)
  const main = early(joined.main)
  const shared = joined.shared.map(early)
  const top = rootField(main.root)

  const { registry, problems: pluginProblems } = await loadRegistry({ plugins: pluginsOf(top), file, cwd })
  problems.add(pluginProblems)
  const params = readParamDefinitions(fieldOf(top, 'params'), options.params ?? {}, problems, options.environment === 'require')
  const used = {
    chains: usedNames('chain', top, params.definitions, params.scope),
    sources: usedNames('source', top, params.definitions, params.scope),
  }
  const late = (read: LoadedFile): LoadedFile =>
    withSections(read, (section, node) =>
      section === 'chains' || section === 'sources' ? resolveUsed(node, used[section], [section], resolveAt) : node,
    )

  const usedTypes = new Set(itemsOf(fieldOf(top, 'steps')).map((step) => textOf(fieldOf(step, 'type'))))
  const checker = schemaChecker(
    registry.all().filter(({ type }) => usedTypes.has(type)),
    ({ type }, reason) =>
      problems.error(
        top,
        `the schema of step type \`${type}\` is not valid: ${reason}`,
        'this is a mistake in the step type, not in this file',
      ),
  )
  const broken = new Set<number>()
  shared.forEach((each) => checkShared(each, problems))
  const whole = (read: LoadedFile) => withEndpointFiles(late(read), { used: used.chains, cwd, main: file, problems, resolveAt })
  const files: LoadedFile[] = []
  for (const each of shared) files.push(checked(onlyShared(await whole(each)), checker, problems, undefined))
  files.push(checked(await whole(main), checker, problems, broken))
  // `files` ends with the main one.
  const root = rootField((files.at(-1) ?? main).root)

  const declared = {
    chains: declaredIn(files, 'chains', problems),
    sources: declaredIn(files, 'sources', problems),
    tables: declaredIn(files, 'tables', problems),
  }
  const defaults = files.map((each) => fieldOf(rootField(each.root), 'defaults'))
  const retry = defaults.reduce((before, field) => readRetry(fieldOf(field, 'retry'), before, problems), DEFAULT_RETRY)
  const tables = readTables(declared.tables, problems)
  const chains = readChains(declared.chains, used.chains, problems)
  const sources = readSources(declared.sources, used.sources, retry, problems)
  const steps = readSteps({
    steps: fieldOf(root, 'steps'),
    defaults,
    registry,
    params: params.definitions,
    scope: params.scope,
    tables,
    chains,
    sources,
    files: filesOf(cwd, options.env),
    broken: (index) => broken.has(index),
    problems,
  })
  const warehouse = readWarehouse(fieldOf(root, 'warehouse'), problems)
  const migrations = migrationFolder(fieldOf(root, 'migrations'), dirname(resolve(cwd, main.source.folder, '_')), cwd, problems)
  const notify = readReceivers(fieldOf(root, 'notify'), problems)
  const schedule = await readSchedule(fieldOf(root, 'schedule'), problems)
  if (!fieldOf(root, 'steps').node) return result()

  const endpoints = [...chains.values()].flatMap(({ endpoints: asked, sockets }) => [...asked, ...sockets])
  const receivers = notify.map((receiver) => ({ url: receiver.url, headers: receiver.type === 'smtp' ? {} : receiver.headers }))
  const secretive = [
    ...usedFields(declared.chains, used.chains),
    ...usedFields(declared.sources, used.sources),
    fieldOf(root, 'warehouse'),
    fieldOf(root, 'notify'),
    ...secretParts(fieldOf(root, 'steps'), registry),
  ]
  return result({
    name: textOf(fieldOf(root, 'name')) ?? '',
    description: textOf(fieldOf(root, 'description')),
    file,
    hash: loaded.hash,
    params: params.definitions,
    warehouse,
    chains,
    sources,
    maxBytesInFlight: numberOf(fieldOf(root, 'max_bytes_in_flight')),
    tables,
    migrations,
    schedule,
    notify,
    steps,
    secrets: secretsOf([...endpoints, ...receivers], [...sources.values()], warehouse, secretValues(secretive, environment.variables)),
  })
}

/** A file with its sections replaced one by one. */
function withSections(read: LoadedFile, change: (section: string, node: Node) => Node): LoadedFile {
  const { root } = read
  if (root.kind !== 'map') return read
  const entries = new Map<string, Entry>(
    [...root.entries].map(([section, entry]) => [section, { ...entry, value: change(section, entry.value) }]),
  )
  return { ...read, root: { ...root, entries } }
}

function pluginsOf(top: Field): readonly { readonly spec: string; readonly place: Field['place']; readonly path: string }[] {
  return itemsOf(fieldOf(top, 'plugins')).flatMap((field, i) => {
    const spec = textOf(field)
    return spec === undefined ? [] : [{ spec, place: field.place, path: `plugins[${i}]` }]
  })
}

/** The chains or sources that steps name, directly, by a param or by a matrix. Says nothing about what is wrong. */
function usedNames(kind: 'chain' | 'source', top: Field, params: Parameters<typeof axesOf>[1], scope: Scope): ReadonlySet<string> {
  const names = new Set<string>()
  for (const step of itemsOf(fieldOf(top, 'steps'))) {
    const text = textOf(fieldOf(step, kind))
    const reference = referenceName(text)
    const value = reference === undefined ? text : scope.get(reference)?.value
    if (typeof value === 'string') names.add(value)
    for (const axis of axesOf(step, params, scope, undefined)) if (axis.name === kind) axis.values?.forEach((each) => names.add(each))
  }
  return names
}

/** Puts the environment into the entries that are used. Of the others, a text with a variable is unknown. */
function resolveUsed(section: Node, used: ReadonlySet<string>, path: Path, resolveAt: (node: Node, path: Path) => Node): Node {
  if (section.kind !== 'map') return section
  const entries = new Map<string, Entry>()
  for (const [name, entry] of section.entries) {
    const value = used.has(name)
      ? resolveAt(entry.value, [...path, name])
      : mapScalars(entry.value, (scalar) => (isTemplated(scalar) ? { ...scalar, value: '', unknown: true } : scalar), [], isTemplated)
    entries.set(name, { ...entry, value })
  }
  return { ...section, entries }
}

/** Reports what the schema has against a file, and notes the steps whose `with` is wrong. */
function checked(read: LoadedFile, checker: SchemaChecker, problems: Problems, broken: Set<number> | undefined): LoadedFile {
  const { root, problems: found } = checker.check(read.root)
  for (const problem of found) {
    problems.error(problem, problem.message, problem.hint)
    const [section, index, key] = problem.path
    if (section === 'steps' && typeof index === 'number' && (key === 'with' || key === undefined)) broken?.add(index)
  }
  return { ...read, root }
}

const SHARED: ReadonlySet<string> = new Set(['name', 'description', 'imports', 'chains', 'sources', 'tables', 'defaults'])

function checkShared({ root, source }: LoadedFile, problems: Problems): void {
  if (root.kind !== 'map') return
  for (const [key, entry] of root.entries) {
    if (SHARED.has(key)) continue
    const { line, col } = source.lines.linePos(entry.keyOffset)
    problems.error(
      { place: { file: source.file, line, column: col }, path: [key] },
      `an imported file can't have \`${key}\``,
      'it may have chains, sources, tables and defaults',
    )
  }
}

/** What a shared file may have: the rest was reported. */
function onlyShared(read: LoadedFile): LoadedFile {
  const { root } = read
  return root.kind === 'map' ? { ...read, root: { ...root, entries: new Map([...root.entries].filter(([key]) => SHARED.has(key))) } } : read
}

/** The value itself is not shown: it may hold a password. */
function readWarehouse(field: Field, problems: Problems): string {
  const text = textOf(field)?.trim()
  if (text === undefined) return ''
  const refuse = (fault: UrlFault | undefined): void => {
    if (fault) problems.error(field, `${ofVariables(field)}${fault.message}`, fault.hint)
  }
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(text)?.[0]
  const known = 'write duckdb:PATH, postgres://…, clickhouse://… or chdb:PATH'
  switch (scheme) {
    case 'duckdb':
    case 'chdb':
      refuse(pathFault(scheme, text.slice(scheme.length + 1)))
      break
    case 'postgres':
    case 'postgresql':
    case 'clickhouse':
    case 'clickhouses':
    case 'http':
    case 'https':
      if (text.startsWith(`${scheme}://`)) refuse(urlFault(text))
      else refuse({ message: `begins with \`${scheme}:\` without \`//\``, hint: `write ${scheme}://user:password@host/database` })
      break
    case 'md':
    case 'motherduck':
      refuse({ message: 'MotherDuck is not supported', hint: known })
      break
    case undefined:
      refuse({ message: 'is no warehouse', hint: known })
      break
    default:
      refuse({ message: `\`${scheme.slice(0, 20)}\` is no warehouse that is known`, hint: known })
  }
  return text
}

function migrationFolder(field: Field, folder: string, cwd: string, problems: Problems): string | undefined {
  const spec = textOf(field)
  if (spec === undefined || spec === '') return undefined
  const found = locateFolder(spec, field.place, folder, cwd)
  if ('path' in found) {
    for (const { message, hint } of checkMigrations(found.path)) problems.error(field, message, hint)
    return found.path
  }
  problems.error(field, found.problem, found.hint)
  return undefined
}

function usedFields(declared: ReadonlyMap<string, Declared>, used: ReadonlySet<string>): readonly Field[] {
  return [...declared].filter(([name]) => used.has(name)).map(([, { field }]) => field)
}
