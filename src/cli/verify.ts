import type { Pipeline } from '../pipeline/pipeline.js'
import { renderVerify } from '../report/render-verify.js'
import { command, didYouMean } from '../sdk/index.js'
import { type Look, openLook } from '../session/look.js'
import type { VerifyReport } from '../verify/report.js'
import { aboutOf } from './about.js'
import { inDemo } from './demo-warehouse.js'
import { Exit, type Io } from './io.js'
import { nothingRun } from './nothing-run.js'
import { openPipeline } from './open-pipeline.js'
import type { VerifyOptions } from './options.js'
import { UsageError } from './usage-error.js'

/** Looks for what is not as the ledger says, and prints it with what mends it. Changes nothing. */
export async function verifyCommand(file: string, options: VerifyOptions, io: Io): Promise<number> {
  const asking = options.sample !== undefined ? '--sample' : options.proof !== undefined ? '--proof' : undefined
  if (options.demo && asking !== undefined)
    throw new UsageError(`${asking} asks endpoints, and those of the demo have ended with it`, `leave out ${asking} or --demo`)
  if (options.seed !== undefined && options.proof === undefined)
    throw new UsageError('--seed chooses the blocks of --proof, which is not given', 'give --proof, or leave out --seed')
  // Read without the params of the last run first: which warehouse it is decides which run was the last.
  const found = await openPipeline(file, { environment: 'warn', params: options.params }, io)
  if (!found) return Exit.notStarted
  const named = options.demo ? inDemo(found, io) : found
  const look = await openLook(named, io, options)
  try {
    return await verifyLook(look, named, file, options, io)
  } finally {
    await look.close()
  }
}

async function verifyLook(look: Look, named: Pipeline, file: string, options: VerifyOptions, io: Io): Promise<number> {
  const { step, sample, demo } = options
  const howMany = options.proof
  const proof = howMany === undefined ? undefined : { howMany, seed: options.seed ?? Math.floor(io.random() * 2 ** 32) }
  const last = await look.lastRun()
  if (last.running)
    io.stderr.write(
      `warning: a run of ${named.name} is under way (pid ${last.running.pid} on ${last.running.host}): what it has not done yet is listed, too\n`,
    )
  if (!last.any && (await look.warehouse.units(named.name)).length === 0) throw nothingRun(named, look.warehouse.display, 'verify', io)
  const params = { ...last.params, ...options.params }
  const found = await openPipeline(file, { environment: sample === undefined && !proof ? 'warn' : 'require', params }, io)
  if (!found) return Exit.notStarted
  const pipeline = demo ? inDemo(found, io) : found
  refuseUnknown(step, pipeline)
  const about = aboutOf(file, options, io)
  const report = await look.verify({ pipeline, params, last, step, sample, proof, demo, state: about.state })
  io.stdout.write(
    options.json ? `${JSON.stringify(report, null, 2)}\n` : renderVerify(report, command('verify', about, ...flagsOf(options, report))),
  )
  return report.ok ? Exit.done : Exit.incomplete
}

/** What has the same looked at once more. */
function flagsOf({ step, sample, proof }: VerifyOptions, { seed }: VerifyReport): readonly string[] {
  return [
    ...(step === undefined ? [] : ['--step', step]),
    ...(sample === undefined ? [] : ['--sample', String(sample)]),
    ...(proof === undefined ? [] : ['--proof', String(proof), '--seed', String(seed)]),
  ]
}

function refuseUnknown(step: string | undefined, { steps }: Pipeline): void {
  const ids = steps.map(({ id }) => id)
  const bare = ids.map((id) => id.replace(/\[.*\]$/, ''))
  if (step !== undefined && ![...ids, ...bare].includes(step))
    throw new UsageError(`--step ${step}: no such step`, didYouMean(step, ids) ?? `it has ${ids.join(', ')}`)
}
