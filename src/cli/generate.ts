import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { builtIn } from '../../plugins/index.js'
import { sampleSql } from '../demo/enrichment-sample.js'
import { editorSchema } from '../pipeline/schema/schema.js'
import { documentedErrors, errorsPage, type SourceText } from './generate/error-docs.js'
import { pluginsReadme } from '../report/step-types.js'
import { typeSchemas, type SchemaSource } from './generate/type-schema.js'

/** The types behind `--json`, `--output json` and `--format json`, by the file that documents them. */
const outputs: Readonly<Record<string, SchemaSource>> = {
  'schemas/plan.schema.json': { file: 'src/plan/forecast.ts', type: 'PlanReport', title: 'pipe plan --json' },
  'schemas/run-event.schema.json': { file: 'src/sdk/events.ts', type: 'RunEvent', title: 'One line of pipe run --output json' },
  'schemas/status.schema.json': { file: 'src/report/status.ts', type: 'StatusReport', title: 'pipe status --json' },
  'schemas/run.schema.json': { file: 'src/serve/answers.ts', type: 'RunDetail', title: 'GET /api/runs/{id}' },
  'schemas/migrate.schema.json': { file: 'src/session/migrate.ts', type: 'MigrateReport', title: 'pipe migrate --json' },
  'schemas/validate.schema.json': { file: 'src/cli/validate.ts', type: 'ValidateReport', title: 'pipe validate --format json' },
  'schemas/rollback.schema.json': { file: 'src/cli/rollback.ts', type: 'RollbackReport', title: 'pipe rollback --json' },
  'schemas/verify.schema.json': { file: 'src/verify/report.ts', type: 'VerifyReport', title: 'pipe verify --json' },
}

/** Every generated file of the project with its content, by path from the root. Depends on the sources only. */
export async function generatedFiles(root: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  files.set('schemas/pipeline.schema.json', json(editorSchema(builtIn)))
  const schemas = typeSchemas(root, Object.values(outputs))
  Object.keys(outputs).forEach((path, i) => files.set(path, json(schemas[i])))
  files.set('plugins/README.md', pluginsReadme(builtIn))
  files.set('migrations/enrichment/duckdb/0002-sample.sql', sampleSql())
  files.set('docs/errors.md', errorsPage(documentedErrors(sourceFiles(root))))
  return files
}

/** Our TypeScript without tests and their fixtures, sorted by path. */
export function sourceFiles(root: string): readonly SourceText[] {
  const paths = ['src', 'plugins'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  )
  return paths
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.test.ts') && !path.endsWith('.d.ts') && !path.includes('/fixtures/'))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }))
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = process.cwd()
  for (const [path, content] of await generatedFiles(root)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
    process.stdout.write(`${path}\n`)
  }
}
