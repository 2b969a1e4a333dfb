import { Command, Option } from 'commander'
import {
  DEFAULT_STATE,
  type GraphOptions,
  type MigrateOptions,
  type PlanCommandOptions,
  type PlanOptions,
  type ResetOptions,
  type RollbackOptions,
  type RetryOptions,
  type RunCommandOptions,
  type ServeCommandOptions,
  type StatusOptions,
  type ValidateOptions,
  type VerifyOptions,
} from './options.js'
import { howMany, ids, param, port, positive, seed, time } from './values.js'

/** What the command line can ask for. Each resolves to the exit code. */
export interface Commands {
  validate(files: readonly string[], options: ValidateOptions): Promise<number>
  plan(file: string, options: PlanCommandOptions): Promise<number>
  run(file: string, options: RunCommandOptions): Promise<number>
  status(file: string, options: StatusOptions): Promise<number>
  retry(file: string, options: RetryOptions): Promise<number>
  reset(file: string, options: ResetOptions): Promise<number>
  rollback(file: string, options: RollbackOptions): Promise<number>
  verify(file: string, options: VerifyOptions): Promise<number>
  migrate(file: string, options: MigrateOptions): Promise<number>
  serve(files: readonly string[], options: ServeCommandOptions): Promise<number>
  graph(file: string, options: GraphOptions): Promise<number>
  steps(type: string | undefined): Promise<number>
  init(folder: string): Promise<number>
}

/** The settings that come from outside the command line. */
export interface ProgramSettings {
  readonly version: string
  /** Value of PIPE_STATE, if it is set. */
  readonly state: string | undefined
  readonly color: boolean
  readonly columns: number
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** Receives the exit code of the command that ran. */
  readonly exit: (code: number) => void
}

/** Options as commander gives them: the attribute is named after the flag. */
type Written<T extends Pick<PlanOptions, 'params'>> = Omit<T, 'params' | 'state'> & { readonly param: T['params'] }

/** The whole command line: names, flags and help of every command. Knows no command's code, so it loads fast. */
export function program(commands: Commands, settings: ProgramSettings): Command {
  const pipe = new Command('pipe')
    .description('Blockchain backfills that are proved complete: YAML pipelines into DuckDB, Postgres or ClickHouse.')
    .version(settings.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [COMMAND]', 'show help of a command')
    .addOption(
      new Option(
        '--state <URL>',
        `where runs and history are kept: sqlite:PATH or postgres://… (default: PIPE_STATE, else ${DEFAULT_STATE})`,
      ),
    )
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: settings.stdout,
      writeErr: settings.stderr,
      getOutHelpWidth: () => settings.columns,
      getErrHelpWidth: () => settings.columns,
      getOutHasColors: () => settings.color,
      getErrHasColors: () => settings.color,
    })
    .showSuggestionAfterError(true)
    .showHelpAfterError('(pipe --help shows the commands)')
    .exitOverride()
    .addHelpText('after', help)

  const common = (): { state: string } => ({ state: pipe.opts<{ state?: string }>().state ?? settings.state ?? DEFAULT_STATE })
  const ends = async (running: Promise<number>): Promise<void> => settings.exit(await running)

  command(pipe, 'validate', 'check pipeline files: no network, no database', [
    'pipe validate pipelines/*.yaml',
    'pipe validate --env pipelines/miners.yaml     # also demand the environment that `run` will need',
    'pipe validate --format github pipelines/*.yaml  # annotations in a pull request',
  ])
    .argument('[FILES...]', 'pipeline files (default: pipelines/*.yaml)')
    .addOption(new Option('--format <FORMAT>', 'how to print').choices(['text', 'json', 'github']).default('text'))
    .option('--env', 'missing environment is an error, not a warning', false)
    .action((files: string[], options: ValidateOptions) => ends(commands.validate(files, options)))

  selecting(
    command(pipe, 'plan', 'show what `run` would do, and why; changes nothing', [
      'pipe plan pipelines/miners.yaml',
      'pipe plan pipelines/miners.yaml --param from=18000000 --json',
      'pipe plan pipelines/miners.yaml --detailed-exitcode  # 0 nothing to do, 4 work to do',
    ]),
  )
    .option('--demo', 'what `run --demo` would do, on the chain or API that it would start', false)
    .option('--json', 'print the plan as JSON (schemas/plan.schema.json)', false)
    .option('--offline', 'ask no endpoint: what needs a head is left open', false)
    .option('--detailed-exitcode', 'exit 4 when there is work to do', false)
    .action((file: string, { param: params, ...options }: Written<PlanCommandOptions>) =>
      ends(commands.plan(file, { ...options, params, ...common() })),
    )

  selecting(
    command(pipe, 'run', 'fetch what is missing; may be killed and started again at any moment', [
      'pipe run pipelines/miners.yaml --demo          # on a local chain of its own: needs no endpoint',
      'ETH_RPC_URL=https://… pipe run pipelines/miners.yaml',
      'pipe run pipelines/miners.yaml --param from=18000000 --param to=18000999',
      'pipe run pipelines/miners.yaml --output json > events.jsonl',
      'pipe run pipelines/wallet-metrics.yaml --until-complete --max-runs 50 --wait 60s --timeout 6h',
      'pipe run pipelines/miners.yaml --follow       # go on with every new block, until Ctrl-C',
    ]),
  )
    .option(
      '--demo',
      'run against a local chain or API that is started for it, into a database of its own, or that of WAREHOUSE_URL',
      false,
    )
    .addOption(
      new Option('--output <FORM>', 'auto: live on a terminal, else plain lines; json: one event a line')
        .choices(['auto', 'plain', 'json'])
        .default('auto'),
    )
    .option('--status-file <PATH>', 'keep a small JSON file that says how far the run is, at every stage and at least every 10 s')
    .option(
      '--fresh',
      'do everything again that these steps have done; drops no table, and old rows stay until new ones replace them',
      false,
    )
    .option(
      '--force',
      'after a reorg that is deeper than the hashes that are kept: delete what was read of the replaced blocks, and read them again',
      false,
    )
    .option('--until-complete', 'plan and run again until nothing is missing; head and now stay those of the first run', false)
    .option('--follow', 'go on with what is new, block by block, until it is stopped; each run reads head and now anew', false)
    .addOption(
      new Option(
        '--max-runs <N>',
        'with --until-complete or --follow: at most N runs, then exit 1 if something is missing; where --follow finds nothing new is none',
      ).argParser(positive),
    )
    .addOption(
      new Option(
        '--wait <TIME>',
        'with --until-complete: time between runs (default: 60s); with --follow: from one look at the head to the next (default: the block time of the quickest chain)',
      ).argParser(time),
    )
    .addOption(new Option('--timeout <TIME>', 'stop cleanly after so long, like 6h, and exit 1 if something is missing').argParser(time))
    .addOption(
      new Option('--stall <TIME>', 'give up when nothing moved for so long (default: 5m with --until-complete; 0s: never)').argParser(time),
    )
    .action((file: string, { param: params, ...options }: Written<RunCommandOptions>, self: Command) => {
      for (const [flag, value] of [
        ['--max-runs', options.maxRuns],
        ['--wait', options.wait],
      ] as const)
        if (value !== undefined && !options.untilComplete && !options.follow)
          self.error(`error: ${flag} says how --until-complete or --follow goes on, and neither is given`)
      if (options.follow && options.untilComplete)
        self.error('error: --follow goes on after everything is complete, and --until-complete ends there: give one of them')
      return ends(commands.run(file, { ...options, params, ...common() }))
    })

  command(pipe, 'status', 'show the last run, also while another process runs it', [
    'pipe status pipelines/miners.yaml',
    'pipe status pipelines/miners.yaml --watch',
    'pipe status pipelines/miners.yaml --json',
  ])
    .argument('<FILE>', 'pipeline file')
    .option('--demo', 'the runs of `run --demo`', false)
    .option('--json', 'print JSON (schemas/status.schema.json)', false)
    .option('--watch', 'print again every 2 seconds until the run has ended', false)
    .action((file: string, options: StatusOptions) => ends(commands.status(file, { ...options, ...common() })))

  command(pipe, 'retry', 'release quarantined and failed units; the next run does them again', [
    'pipe retry pipelines/miners.yaml',
    'pipe retry pipelines/miners.yaml --step balances',
    "pipe retry pipelines/chain-metrics.yaml --param chain=base --step 'blocks[base]'",
  ])
    .argument('<FILE>', 'pipeline file')
    .option('--step <ID>', 'only this step')
    .addOption(paramOfLastRun())
    .option('--demo', 'in the database of `run --demo`; starts no chain', false)
    .action((file: string, { param: params, ...options }: Written<RetryOptions>) =>
      ends(commands.retry(file, { ...options, params, ...common() })),
    )

  command(pipe, 'reset', 'mark units as not done; the next run replaces what they wrote', [
    'pipe reset pipelines/miners.yaml --step blocks --range 18000000..18000999',
    'pipe reset pipelines/miners.yaml --step balances',
  ])
    .argument('<FILE>', 'pipeline file')
    .requiredOption('--step <ID>', 'the step')
    .option(
      '--range <A..B>',
      'blocks, keys, days or times, both ends included, or a unit as pipe prints it (default: everything of the step)',
    )
    .addOption(paramOfLastRun())
    .option('--demo', 'in the database of `run --demo`; starts no chain', false)
    .action((file: string, { param: params, ...options }: Written<ResetOptions>) =>
      ends(commands.reset(file, { ...options, params, ...common() })),
    )

  command(pipe, 'rollback', 'put the version before into its place again: all tables of a step that swaps them', [
    'pipe rollback pipelines/transfers.yaml --step publish',
    'pipe rollback pipelines/transfers.yaml --step publish --json',
  ])
    .argument('<FILE>', 'pipeline file')
    .requiredOption('--step <ID>', 'the step; again: one version further back')
    .addOption(paramOfLastRun())
    .option('--demo', 'in the database of `run --demo`; starts no chain', false)
    .option('--json', 'print JSON (schemas/rollback.schema.json)', false)
    .action((file: string, { param: params, ...options }: Written<RollbackOptions>) =>
      ends(commands.rollback(file, { ...options, params, ...common() })),
    )

  command(pipe, 'verify', 'look for what is not as the ledger says: lost, extra or changed rows; changes nothing', [
    'pipe verify pipelines/miners.yaml',
    'pipe verify pipelines/miners.yaml --step balances --sample 3  # also fetch 3 units again and compare',
    'pipe verify pipelines/miners.yaml --proof 300  # prove 300 random blocks of each step, and compare',
    'pipe verify pipelines/miners.yaml --json',
  ])
    .argument('<FILE>', 'pipeline file')
    .addOption(paramOfLastRun())
    .option('--step <ID>', 'only this step')
    .addOption(
      new Option(
        '--sample <N>',
        'fetch N random units of each step again, from an endpoint that did not give them where there is one, and compare row by row',
      ).argParser(positive),
    )
    .addOption(
      new Option(
        '--proof [N|all]',
        'prove N random blocks of each step (300 where N is left out) by the hashes of the chain: headers, transactions, receipts, logs, balances',
      )
        .preset('300')
        .argParser(howMany),
    )
    .addOption(new Option('--seed <S>', 'prove the blocks that a run of --proof with this seed chose').argParser(seed))
    .option('--demo', 'in the database of `run --demo`; starts its chain or API where --sample or --proof asks it', false)
    .option('--json', 'print JSON (schemas/verify.schema.json)', false)
    .action((file: string, { param: params, ...options }: Written<VerifyOptions>) =>
      ends(commands.verify(file, { ...options, params, ...common() })),
    )

  command(pipe, 'migrate', 'apply the numbered SQL files of `migrations`, each once', [
    'pipe migrate pipelines/chain-metrics.yaml     # migrations/chain-metrics/duckdb/0001-views.sql, 0002-…',
    'pipe migrate pipelines/chain-metrics.yaml && pipe run pipelines/chain-metrics.yaml',
  ])
    .argument('<FILE>', 'pipeline file')
    .option('--json', 'print what was applied as JSON (schemas/migrate.schema.json)', false)
    .action((file: string, options: MigrateOptions) => ends(commands.migrate(file, { ...options, ...common() })))

  command(pipe, 'serve', 'answer over HTTP: what runs, what is there and what is missing; start and stop', [
    'pipe serve pipelines/*.yaml                   # http://127.0.0.1:8080, for this machine only',
    'pipe serve pipelines/*.yaml --demo --port 0   # runs need no endpoint; a free port',
    'PIPE_TOKEN=$(openssl rand -base64 32) pipe serve --bind 0.0.0.0 --allow-host pipe.example.com',
    'curl localhost:8080/api/openapi.json          # everything that can be asked',
  ])
    .argument('[FILES...]', 'pipeline files (default: pipelines/*.yaml)')
    .option('--bind <ADDRESS>', 'listen on this address; one that others reach wants PIPE_TOKEN', '127.0.0.1')
    .addOption(new Option('--port <N>', 'listen on this port; 0 takes a free one').argParser(port).default(8080))
    .addOption(
      new Option('--allow-host <NAME>', 'a name besides localhost by which it may be asked; may be repeated')
        .argParser((name: string, before: readonly string[]) => [...before, name])
        .default([], 'none'),
    )
    .option('--no-schedules', 'begin no run at the times that files name: for a second server, or one to look with')
    .option('--demo', 'every run is one of `run --demo`', false)
    .action((files: string[], options: Omit<ServeCommandOptions, 'state'>) => ends(commands.serve(files, { ...options, ...common() })))

  command(pipe, 'graph', 'print the steps and what they need', [
    'pipe graph pipelines/miners.yaml',
    'pipe graph pipelines/miners.yaml --format svg > miners.svg',
  ])
    .argument('<FILE>', 'pipeline file')
    .addOption(new Option('--format <FORMAT>', 'how to print').choices(['mermaid', 'dot', 'svg']).default('mermaid'))
    .action((file: string, options: GraphOptions) => ends(commands.graph(file, options)))

  command(pipe, 'steps', 'list the step types, or explain one', ['pipe steps', 'pipe steps rpc-batch'])
    .argument('[TYPE]', 'step type')
    .action((type: string | undefined) => ends(commands.steps(type)))

  command(pipe, 'init', 'write a small annotated pipeline to start from; overwrites nothing', ['pipe init', 'pipe init my-project'])
    .argument('[FOLDER]', 'where', '.')
    .action((folder: string) => ends(commands.init(folder)))

  return pipe
}

function command(pipe: Command, name: string, description: string, examples: readonly string[]): Command {
  return pipe
    .command(name)
    .description(description)
    .allowExcessArguments(false)
    .showHelpAfterError(`(pipe help ${name} shows its flags)`)
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`)
}

/** `--param` of a command about what runs did. */
function paramOfLastRun(): Option {
  const option = new Option('--param <NAME=VALUE>', 'a param of the pipeline; may be repeated')
  return option.argParser(param).default({}, 'those of the last run, else of the file')
}

function selecting(command: Command): Command {
  return command
    .argument('<FILE>', 'pipeline file')
    .addOption(
      new Option('--param <NAME=VALUE>', 'a param of the pipeline; may be repeated').argParser(param).default({}, 'those of the file'),
    )
    .addOption(new Option('--select <IDS>', 'only these steps, separated by commas').argParser(ids))
    .addOption(new Option('--limit <N>', 'at most N input rows, blocks, days or pages a step').argParser(positive))
}

const help = `
Examples:
  pipe run pipelines/miners.yaml --demo    fill a table from a local chain, nothing to set up
  pipe validate pipelines/*.yaml           is the file right?
  pipe plan pipelines/miners.yaml          what would run do, why, and how much is it?
  pipe run pipelines/miners.yaml           do it; start it again after a crash and it goes on
  pipe status pipelines/miners.yaml        how far is it, from another terminal
  pipe verify pipelines/miners.yaml        is it still as the ledger says?
  pipe steps rpc-batch                     everything a step type can do
  pipe help run                            all flags of a command

Exit codes:
  0    done
  1    incomplete: units failed or are in quarantine, a gate is closed, a limit was reached, or verify found something
  2    could not start: a mistake in the file, the usage or the environment, or an internal error
  3    another run holds this pipeline
  4    plan --detailed-exitcode: there is work to do
  130  stopped by Ctrl-C (SIGINT) after a clean checkpoint (0 where --follow had nothing left to do); a second one stops at once
  140  stopped by SIGUSR2 when the units under way were done (0 where nothing was left)
  143  stopped by SIGTERM after a clean checkpoint

Environment:
  PIPE_STATE  where runs and history are kept, unless --state says so
  PIPE_TOKEN  what requests to \`pipe serve\` must know; wanted where others reach it
  PIPE_DEBUG  1 shows the stack of every error
  NO_COLOR    no colours
  A pipeline names what it needs itself (\${ETH_RPC_URL}, …); a .env file beside it is read.
`
