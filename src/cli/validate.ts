import { formatAnnotation, formatProblem } from '../pipeline/yaml/format.js'
import { counted } from '../sdk/index.js'
import { escapeText } from '../report/escape.js'
import type { Problem } from '../pipeline/pipeline.js'
import { readPipeline } from '../pipeline/read.js'
import { defaultFiles } from './default-files.js'
import { Exit, type Io } from './io.js'
import type { ValidateOptions } from './options.js'

/** One file of `pipe validate --format json`. */
export interface ValidatedFile {
  readonly file: string
  readonly ok: boolean
  /** Its name, null when the file holds none: it is broken, or shared by `imports`. */
  readonly pipeline: string | null
  readonly steps: number
  readonly problems: readonly Problem[]
}

/** What `pipe validate --format json` prints (schemas/validate.schema.json). */
export interface ValidateReport {
  /** No file has an error; warnings are allowed. */
  readonly ok: boolean
  readonly files: readonly ValidatedFile[]
}

/** Checks files one by one and prints all their problems. Exit code 0, or 2 when one has an error. */
export async function validateCommand(files: readonly string[], options: ValidateOptions, io: Io): Promise<number> {
  const report = await validateFiles(files.length > 0 ? files : await defaultFiles(io.cwd, 'validate'), options, io)
  io.stdout.write(printers[options.format](report))
  return report.ok ? Exit.done : Exit.notStarted
}

async function validateFiles(files: readonly string[], options: ValidateOptions, io: Io): Promise<ValidateReport> {
  const validated: ValidatedFile[] = []
  for (const file of files) {
    const environment = options.env ? 'require' : 'warn'
    const { pipeline, problems } = await readPipeline(file, { cwd: io.cwd, env: io.env, environment })
    const ok = problems.every((problem) => problem.severity === 'warning')
    validated.push({ file, ok, pipeline: pipeline?.name ?? null, steps: pipeline?.steps.length ?? 0, problems })
  }
  return { ok: validated.every((file) => file.ok), files: validated }
}

const printers: Readonly<Record<ValidateOptions['format'], (report: ValidateReport) => string>> = {
  json: (report) => `${JSON.stringify(report, null, 2)}\n`,
  text,
  github: ({ files }) => files.flatMap((file) => file.problems.map((problem) => `${escapeText(formatAnnotation(problem))}\n`)).join(''),
}

function text({ files }: ValidateReport): string {
  const lines = files.flatMap((file) => {
    const found = file.problems.map((problem) => escapeText(formatProblem(problem)))
    return file.ok ? [...found, `${file.file}: ok (${contents(file)})`] : found
  })
  const errors = files.flatMap((file) => file.problems).filter((problem) => problem.severity === 'error').length
  const broken = files.filter((file) => !file.ok).length
  if (errors > 0)
    lines.push(`${counted(errors, 'errors')} in ${files.length === 1 ? files[0]?.file : `${broken} of ${files.length} files`}`)
  return `${lines.join('\n')}\n`
}

function contents(file: ValidatedFile): string {
  const warnings = file.problems.length > 0 ? `, ${counted(file.problems.length, 'warnings')}` : ''
  return (file.pipeline === null ? 'shared file' : counted(file.steps, 'steps')) + warnings
}
