import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from './usage-error.js'

/** The files of a command that is given none: `pipelines/*.yaml` and `.yml`, in order. @throws {UsageError} when there are none. */
export async function defaultFiles(cwd: string, command: 'serve' | 'validate'): Promise<readonly string[]> {
  const found = await readdir(join(cwd, 'pipelines')).catch(() => [])
  const files = found.filter((name) => /\.ya?ml$/.test(name)).map((name) => `pipelines/${name}`)
  if (files.length > 0) return files.sort()
  throw new UsageError(
    'no file is given and there is no pipelines/*.yaml here',
    `name the files: pipe ${command} FILES…, or start with \`pipe init\``,
  )
}
