import type { Pipeline } from '../pipeline/pipeline.js'
import { renderVerify } from '../report/render-verify.js'
import { command, didYouMean, typable } from '../sdk/index.js'
import { type Look, openLook } from '../session/look.js'
import type { VerifyReport } from '../verify/report.js'
import { aboutOf } from './about.js'
import type { Demo } from './demo.js'
import { inDemo } from './demo-warehouse.js'
import { Exit, type Io } from './io.js'
import { nothingRun, refuseMissing } from './nothing-run.js'
import { openPipeline } from './open-pipeline.js'
import type { VerifyOptions } from './options.js'
import { UsageError } from './usage-error.js'

/** Looks for what is not as the ledger says, and prints it with what mends it. Changes nothing. */
export async function verifyCommand(file: string, options: VerifyOptions, io: Io): Promise<number> {
  if (options.seed !== undefined && options.proof === undefined)
    throw new UsageError('--seed chooses the blocks of --proof, which is not given', 'give --proof, or leave out --seed')
  // Read without the params of the last run first: which warehouse it is decides which run was the last.
  const found = await openPipeline(file, { environment: 'warn', params: options.params }, io)
  if (!found) return Exit.notStarted
  const asks = options.sample !== undefined || options.proof !== undefined
  const demo = options.demo && asks ? await startedDemo(found, io) : undefined
  try {
    const of = demo?.of ?? ((pipeline: Pipeline) => (options.demo ? inDemo(pipeline, io) : pipeline))
    const look = await openLook(of(found), io, { state: options.state, world: demo?.world })
    try {
      return await verifyLook({ look, of, named: of(found), file }, options, io)
    } finally {
      await look.close()
    }
  } finally {
    await demo?.close()
  }
}

/** The chain or API of the demo, the same as that of its run. A file that no run made is told before it starts. */
async function startedDemo(pipeline: Pipeline, io: Io): Promise<Demo> {
  refuseMissing(inDemo(pipeline, io), 'verify', io)
  const { startDemo } = await import('./demo.js')
  return startDemo(pipeline, io)
}

interface Looked {
  readonly look: Look
  readonly named: Pipeline
  readonly file: string
  /** The pipeline as it is looked at. */
  of(pipeline: Pipeline): Pipeline
}

async function verifyLook({ look, named, file, of }: Looked, options: VerifyOptions, io: Io): Promise<number> {
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
  const found = await openPipeline(file, { environment: demo || (sample === undefined && !proof) ? 'warn' : 'require', params }, io)
  if (!found) return Exit.notStarted
  const pipeline = of(found)
  refuseUnknown(step, pipeline)
  const about = aboutOf(file, options, io)
  const report = await look.verify({ pipeline, params, last, step, sample, proof, demo, state: about.state })
  const text = () => typable(renderVerify(report, command('verify', about, ...flagsOf(options, report))), about)
  io.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : text())
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
