import { defineStep, type ProgramEnd, parseDuration, type RunContext, substituteText } from '../../src/sdk/authors.js'
import { argsOf, checkConfig, namesIn, namesOf } from './check.js'
import { config, type Config } from './config.js'
import { ProgramFailedError } from './errors.js'
import { Heard, numbersOf } from './heard.js'

export const exec = defineStep({
  type: 'exec',
  summary: 'Runs a program, such as an older script, and is done when its exit code says so.',
  config,
  units: 1,
  example: `name: legacy
warehouse: duckdb:data/legacy.duckdb
tables:
  positions: { columns: { id: bigint }, key: [id] }
steps:
  - id: enrich
    type: exec
    timeout: 1h
    with:
      command: sh
      args: [-c, "for n in 1 2 3; do echo $$n/3; done; echo enriched 3"]
      progress: (?<done>\\d+)/(?<total>\\d+)
      result: ["enriched (?<enriched>\\\\d+)"]
      reads: [positions]
`,

  names: namesOf,
  check: checkConfig,
  inputs: ({ config: { reads = [] } }) => reads.map((table) => ({ table, interval: 'whole' })),
  outputs: () => [],

  *plan({ config }) {
    const bounded = argsOf(config).some((arg) => namesIn(arg).includes('limit'))
    yield { kind: 'task', due: config.reads ? 'touched' : 'every-round', whole: !bounded }
  },

  async *run(ctx) {
    const { config } = ctx
    if (config.reads) yield { readsInputs: true }
    const { exit: { ok = [0], retry = [] } = {} } = config
    const running = ctx.program({
      command: config.command,
      args: boundArgs(ctx),
      folder: config.cwd,
      env: Object.fromEntries(Object.entries(config.env ?? {}).map(([name, value]) => [name, String(value)])),
      graceMs: parseDuration(config.grace ?? '5s') ?? 0,
    })
    const heard = new Heard(config)
    let end: ProgramEnd = { code: undefined, signal: undefined, ms: 0 }
    for await (const news of running) {
      if (news.end) {
        end = news.end
        continue
      }
      for (const line of news.lines) heard.add(line)
      const progress = heard.progress(news.ms)
      if (progress) yield { progress }
    }
    const said = running.said()
    const result = heard.results(running.masked)
    const { code = null, signal = null, ms } = end
    const evidence = { code, signal, ms, result, said: [...said] }
    if (code !== null && ok.includes(code)) {
      yield { evidence, counts: numbersOf(result) }
      return
    }
    yield { evidence }
    throw new ProgramFailedError(config.command, end, said, code !== null && retry.includes(code))
  },
})

/** With every `$name` put in; `--limit` is more than the param of that name. */
function boundArgs({ config, scope, unit: { limit } }: RunContext<Config, never>): string[] {
  const all = limit === undefined ? scope : new Map([...scope, ['limit', { type: { kind: 'bigint' }, value: BigInt(limit) }] as const])
  const bound = (arg: string) =>
    arg
      .split('$$')
      .map((part) => substituteText(part, all))
      .join('$')
  return argsOf(config).map(bound)
}
