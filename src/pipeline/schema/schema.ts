import type { StepDefinition } from '../../sdk/index.js'
import { COLUMN_TYPES } from '../../sdk/index.js'
import { NOTICE_KINDS } from '../receivers.js'
import type { JsonSchema } from './schema-walk.js'
import { referencePattern, tolerant } from './tolerant.js'

/**
 * The JSON Schema (draft 2020-12) of a pipeline file and of a shared file for `imports`, with the `with` of these step
 * types. A step of another type passes, since a plugin may bring it. `errorMessage` says what a field wants, in words.
 */
export function pipelineSchema(definitions: readonly StepDefinition[]): JsonSchema {
  return fileSchema(definitions, ['rpc'])
}

/** The same for editors, who see one file alone: where it imports others, of a chain it may say only what is otherwise than there. */
export function editorSchema(definitions: readonly StepDefinition[]): JsonSchema {
  const whole = { properties: { chains: { additionalProperties: { required: ['rpc'] } } } }
  return { ...fileSchema(definitions, []), allOf: [{ if: { not: { required: ['imports'] } }, then: whole }] }
}

function fileSchema(definitions: readonly StepDefinition[], ofChain: readonly string[]): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'pipe pipeline',
    description: 'What the tables should hold, and the steps that fill them.',
    ...map({
      name: text('Name of the pipeline: in the ledger, in reports, in file names.', {
        pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$',
        errorMessage: 'must be a name of letters, digits, `-` and `_`, at most 63',
      }),
      description: text('What it is for, for people.'),
      imports: list(
        text('A file with chains, sources, tables or defaults, relative to this one.', { minLength: 1 }),
        'Files that share chains, sources, tables and defaults.',
      ),
      plugins: list(
        text('A file inside the project (./my-step.ts) or an installed package.', { minLength: 1 }),
        'More step types. Their code is run.',
      ),
      params: named(param(), 'Values that may be given on the command line: --param name=value. Used as $name.'),
      warehouse: text(
        'The database that is filled: duckdb:PATH (or duckdb:PATH?memory_limit=2GB&threads=4&temp_directory=FOLDER), postgres://…, clickhouse://… or chdb:PATH.',
        { minLength: 1 },
      ),
      migrations: text('Folder of numbered SQL files for what portable types can not say, relative to this file.', { minLength: 1 }),
      chains: named(chain(ofChain), 'Chains and their endpoints. Of known chains the id and the block time are known.'),
      sources: named(source(), 'REST APIs.'),
      max_bytes_in_flight: {
        type: 'integer',
        minimum: 1_000_000,
        description: 'Bytes of answers that all endpoints and sources of a run may be reading together. Default 256 MB.',
      },
      tables: named(table(), 'Tables: created when missing, compared when there.'),
      defaults: {
        ...map({ retry: retry(), timeout: duration('Time a unit may take.'), parallel: parallel() }),
        description: 'What all steps get that do not say otherwise.',
      },
      schedule: schedule(),
      notify: list(receiver(), 'Who is told how its runs go. A notice that can not be sent is said, and ends no run.'),
      steps: { type: 'array', minItems: 1, items: step(definitions), description: 'The work, as a graph by `needs`.' },
    }),
    if: { required: ['steps'] },
    then: { required: ['name', 'warehouse'] },
  }
}

function step(definitions: readonly StepDefinition[]): JsonSchema {
  return {
    ...map(
      {
        id: text('Name of the step in `needs`, in the ledger and in reports.'),
        title: text('What people see instead of the id.'),
        type: {
          type: 'string',
          description: 'Which step type does the work; a plugin may bring more.',
          anyOf: [...definitions.map(({ type, summary }) => ({ const: type, description: summary })), { type: 'string' }],
        },
        needs: list(text('The id of a step.'), 'Steps that must be complete before this one begins.'),
        chain: text('The chain that it asks, by its name in `chains`.'),
        source: text('The API that it asks, by its name in `sources`.'),
        into: text('The table that it fills.'),
        with: { description: 'What the step type wants to know.' },
        retry: retry(),
        timeout: duration('Time a unit may take.'),
        every: duration('How often its source is asked at most while `run --follow` goes on. Default 1m.'),
        parallel: parallel(),
        on_error: {
          type: 'string',
          enum: ['fail', 'continue'],
          default: 'fail',
          description: 'fail: steps that need this one wait. continue: they run; the exit code is 1 either way.',
        },
        when: {
          type: 'object',
          additionalProperties: { type: ['string', 'number', 'boolean'] },
          minProperties: 1,
          description: 'Runs only while these params have these values. Otherwise it counts as complete.',
        },
        matrix: {
          type: 'object',
          minProperties: 1,
          additionalProperties: {
            if: { type: 'string' },
            then: { pattern: referencePattern, errorMessage: 'must be a list, or the $name of a list param' },
            else: {
              type: 'array',
              minItems: 1,
              items: { type: ['string', 'number'] },
              errorMessage: 'must be a list, or the $name of a list param',
            },
          },
          description:
            'One step for each value: `matrix: { chain: [ethereum, base] }`. The axis `chain` sets the chain, `source` the source.',
        },
      },
      ['id', 'type'],
    ),
    allOf: definitions.length > 0 ? definitions.map(withOf) : undefined,
  }
}

/** `if type = X then with = …`: only the errors of the type that is named are reported. */
function withOf(definition: StepDefinition): JsonSchema {
  return {
    if: { properties: { type: { const: definition.type } }, required: ['type'] },
    then: { properties: { with: tolerant(definition.config) }, required: wantsWith(definition) ? ['with'] : undefined },
  }
}

function wantsWith({ config }: StepDefinition): boolean {
  const required: unknown = config['required']
  return Array.isArray(required) && required.length > 0
}

function param(): JsonSchema {
  const scalar = { type: ['string', 'number', 'boolean'] }
  return {
    ...map(
      {
        type: {
          type: 'string',
          enum: ['block', 'int', 'text', 'bool', 'date', 'timestamp', 'float', 'address'],
          description: 'What the value must be.',
        },
        default: { ...scalar, type: ['string', 'number', 'boolean', 'array'], description: 'A param without default must be given.' },
        demo: { ...scalar, type: ['string', 'number', 'boolean', 'array'], description: 'The default with --demo.' },
        list: { type: 'boolean', description: 'Several values: a list, or text with commas.' },
        one_of: { type: 'array', minItems: 1, items: scalar, description: 'The only values allowed.' },
        min: { type: 'number', description: 'Lowest value.' },
        max: { type: 'number', description: 'Highest value.' },
        description: text('What it is for, for people.'),
      },
      ['type'],
    ),
  }
}

function chain(required: readonly string[]): JsonSchema {
  const url = text('URL of a JSON-RPC endpoint.')
  const endpoint = map(
    {
      url,
      max_workers: { type: 'integer', minimum: 1, description: 'Requests in flight, at most. Left out, it is found.' },
      priority: { type: 'integer', description: 'Lower is asked first. Default 1.' },
      requests_per_second: { type: 'number', exclusiveMinimum: 0, description: 'Requests a second, at most.' },
      max_block_range: {
        type: 'integer',
        minimum: 1,
        description: 'Blocks that one eth_getLogs may ask for. A longer one goes to another endpoint.',
      },
      headers: headers(),
      budget: budget(),
    },
    ['url'],
  )
  return map(
    {
      rpc: {
        if: { type: 'array' },
        then: {
          type: 'array',
          minItems: 1,
          items: { if: { type: 'object' }, then: endpoint, else: { ...url, errorMessage: 'must be a URL or a map with `url`' } },
        },
        else: {
          if: { type: 'object' },
          then: map(
            {
              file: text('JSON or YAML with such a list, or with one under `rpcs`. Its path goes from the folder of this file.', {
                minLength: 1,
              }),
            },
            ['file'],
          ),
          else: { ...url, errorMessage: 'must be a URL (several with commas), a list of them, or { file: PATH }' },
        },
        description:
          'One or more endpoints: a URL, several with commas, a list, a list of maps with limits, or a file with one (`{ file: rpcs.json }`). A wss URL beside them tells `run --follow` of new heads.',
      },
      id: {
        type: 'integer',
        minimum: 1,
        description: 'Chain id. Known for known chains. Every endpoint is asked for it before its first row.',
      },
      block_time: duration('Average time between blocks. Known for most known chains.'),
      confirmations: { type: 'integer', minimum: 0, description: 'How far behind the head `safe` is. Larger: later rows, fewer reorgs.' },
      multicall: text('Address of multicall3.', {
        pattern: '^0x[0-9a-fA-F]{40}$',
        errorMessage: 'must be an address: 0x and 40 hex digits, in quotes',
      }),
      currency: {
        ...map({ symbol: text('Such as ETH.'), decimals: { type: 'integer', minimum: 0, maximum: 36 } }),
        description: 'The native coin.',
      },
      about: { type: 'object', description: 'Facts of your own, used as $chain.about.name.' },
    },
    required,
  )
}

function budget(): JsonSchema {
  return {
    ...map(
      {
        credits_per_second: {
          type: 'number',
          exclusiveMinimum: 0,
          description: 'Credits that the calls of any second may cost. Endpoints with one key share them, over all chains.',
        },
        costs: {
          type: 'object',
          additionalProperties: { type: 'number', minimum: 0 },
          description: 'Credits of a call, by method: `{ eth_getLogs: 75 }`.',
        },
        default: { type: 'number', minimum: 0, description: 'Credits of a call of any other method. Default 1.' },
      },
      ['credits_per_second'],
    ),
    description: 'What the provider lets the calls of a second cost, in its credits or compute units. It is not exceeded.',
  }
}

function source(): JsonSchema {
  return map(
    {
      url: text('Base URL: paths of requests are added to it.', { minLength: 1 }),
      headers: headers(),
      requests_per_second: { type: 'number', exclusiveMinimum: 0, description: 'Requests a second, at most.' },
      concurrency: { type: 'integer', minimum: 1, description: 'Requests in flight, at most.' },
      timeout: duration('Time a request may take. Default 30s.'),
      max_bytes: { type: 'integer', minimum: 1, description: 'Bytes that an answer may have. Default 100 MB.' },
      retry: retry(),
    },
    ['url'],
  )
}

function schedule(): JsonSchema {
  const cron = text('Five fields, as crontab has them: minute, hour, day of month, month, day of week.', { minLength: 1 })
  return {
    if: { type: 'object' },
    then: map(
      {
        cron,
        timezone: text('Whose clock it goes by, such as Europe/Zurich. Default UTC.', { minLength: 1 }),
        missed: {
          type: 'string',
          enum: ['run', 'skip'],
          default: 'run',
          description:
            'Times at which nobody was there or a run was at it. run: one run makes up for all of them as soon as it can. skip: the next time is waited for.',
        },
      },
      ['cron'],
    ),
    else: { ...cron, errorMessage: 'must be a cron expression in quotes, such as "0 */6 * * *", or { cron, timezone, missed }' },
    description: 'When `pipe serve` runs it: `"0 */6 * * *"` is every six hours, by UTC. Never twice at once.',
  }
}

function receiver(): JsonSchema {
  const mailbox = text('A mail address.', { minLength: 1 })
  return map(
    {
      type: {
        type: 'string',
        enum: ['webhook', 'slack', 'smtp'],
        description: 'webhook: JSON by POST. slack: the form of an incoming webhook, which others take, too. smtp: a mail.',
      },
      url: text('Where it is sent to: https://…, or smtp://user:password@host:587. Empty: nowhere.'),
      headers: headers(),
      from: text('Sender of mails.', { minLength: 1 }),
      to: {
        if: { type: 'array' },
        then: { ...list(mailbox, 'Mail addresses.'), minItems: 1 },
        else: { ...mailbox, errorMessage: 'must be a mail address or a list of them' },
        description: 'Who gets the mails.',
      },
      on: {
        type: 'array',
        minItems: 1,
        items: { type: 'string', enum: [...NOTICE_KINDS] },
        description: 'What is told. Default: all but completion.',
      },
    },
    ['type', 'url'],
  )
}

function table(): JsonSchema {
  const column = text('The name of a column.')
  return map(
    {
      columns: {
        type: 'object',
        minProperties: 1,
        additionalProperties: {
          type: 'string',
          examples: [...COLUMN_TYPES, 'text?'],
          errorMessage: `must be a column type: ${COLUMN_TYPES.join(', ')}, with ? after it when it may be null`,
        },
        description: 'Columns with their portable types. A ? after the type: may be null.',
      },
      key: { ...list(column, 'Columns that name a row. Two different rows of one key are an error, see `on_conflict`.'), minItems: 1 },
      on_conflict: {
        type: 'string',
        enum: ['error', 'last'],
        default: 'error',
        description:
          'What becomes of two different rows of one key in what a step reads once. error: the unit that brings the second one fails, and names both. last: the one that is read last stays, and how many were replaced is counted. What is read again (pages of a list, a redo, a query) replaces older rows either way.',
      },
      range: text('The column that a unit covers a stretch of. Default: the first integer, date or timestamp of the key.'),
      indexes: named({ ...list(column, 'Columns of the index.'), minItems: 1 }, 'Indexes by name.'),
      retention: {
        type: 'object',
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: duration('How long rows are kept.'),
        description:
          'How long rows are kept at least, by a time column: { block_time: 12h }. Older ones are deleted at the end of a run, whole intervals of the steps that read them, once these are computed; they are never computed again then. On ClickHouse a TTL does it, from a migration.',
      },
    },
    ['columns', 'key'],
  )
}

function retry(): JsonSchema {
  return {
    ...map({
      attempts: {
        type: 'integer',
        minimum: 1,
        maximum: 1000,
        description: 'How often a unit is tried before it is quarantined. Default 5.',
      },
      wait: duration('Wait before the second attempt; it doubles, with jitter. Default 500ms.'),
      max_wait: duration('Longest wait between attempts. Default 8s.'),
    }),
    description: 'How failures are tried again.',
  }
}

function parallel(): JsonSchema {
  return {
    type: 'integer',
    minimum: 1,
    description: 'Requests, days or statements in flight over all units of a step. A ceiling; left out, it is found.',
  }
}

function headers(): JsonSchema {
  return { type: 'object', additionalProperties: { type: ['string', 'number'] }, description: 'HTTP headers. An empty one is not sent.' }
}

function duration(description: string): JsonSchema {
  return text(description, {
    pattern: '^\\s*(\\d+(\\.\\d+)?\\s*(ms|s|m|h|d|w)\\s*)+$',
    errorMessage: 'must be a duration such as 500ms, 30s, 5m, 2h or 7d',
  })
}

function text(description: string, more: JsonSchema = {}): JsonSchema {
  return { type: 'string', ...more, description }
}

function list(items: JsonSchema, description: string): JsonSchema {
  return { type: 'array', items, description }
}

function named(value: JsonSchema, description: string): JsonSchema {
  return { type: 'object', additionalProperties: value, description }
}

function map(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): JsonSchema {
  return { type: 'object', additionalProperties: false, properties, required: required.length > 0 ? required : undefined }
}
