import { command, counted, didYouMean, micros } from '../sdk/index.js'
import { withLedger } from './amend.js'
import type { Io } from './io.js'
import type { RetryOptions } from './options.js'
import { UsageError } from './usage-error.js'

/** Lets units and keys out of quarantine. Only marks: the next run does them. */
export async function retryCommand(file: string, { step, ...options }: RetryOptions, io: Io): Promise<number> {
  return withLedger(file, { ...options, verb: 'retry' }, io, async (pipeline, warehouse, about) => {
    const ids = pipeline.steps.map(({ id }) => id)
    if (step !== undefined && !ids.includes(step))
      throw new UsageError(`--step ${step}: no such step`, didYouMean(step, ids) ?? `it has ${ids.join(', ')}`)
    const units = (await warehouse.units(pipeline.name, step)).filter(({ state: unit }) => unit === 'quarantined' || unit === 'failed')
    const keys = await warehouse.quarantined(pipeline.name, step)
    await warehouse.amend(
      pipeline.name,
      {
        put: units.map((row) => ({
          step: { pipeline: pipeline.name, step: row.step, fingerprint: row.fingerprint },
          unit: row.unit,
          state: 'pending',
          attempts: 0,
          error: null,
        })),
        release: [...new Set(keys.map((key) => key.step))].map((id) => ({ step: id })),
      },
      micros(io.clock),
    )
    // Another run may have had steps that this one has not: the ledger has them all.
    const others = [...new Set([...units, ...keys].map((row) => row.step))].filter((id) => !ids.includes(id))
    for (const id of [...ids, ...others]) {
      const [u, k] = [units.filter((row) => row.step === id), keys.filter((row) => row.step === id)]
      for (const row of u)
        io.stdout.write(
          `${id} ${row.unit}: ${row.state} after ${counted(row.attempts, 'attempts')} (${firstLine(row.error ?? 'no error kept')})\n`,
        )
      for (const row of k)
        io.stdout.write(`${id} ${row.key}: in quarantine after ${counted(row.attempts, 'attempts')} (${firstLine(row.error)})\n`)
    }
    const all = units.length + keys.length
    io.stdout.write(
      all === 0
        ? `nothing is in quarantine in ${warehouse.display}\n`
        : `${all} will be tried again in ${warehouse.display} by: ${command('run', about)}\n`,
    )
    if (others.length > 0) io.stdout.write(`that run has no ${others.join(', ')}: give the --param with which the file has it\n`)
  })
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? ''
