import type { RunRecord } from '../state/store.js'
import { viewOf } from '../report/status.js'
import { type PipelineState, stateOf, UNDER_WAY } from './answers.js'

/** What the process of the server uses. */
export interface Usage {
  readonly cpuSeconds: number
  readonly residentBytes: number
  /** Seconds since 1970. */
  readonly startedAt: number
}

type Labels = Readonly<Record<string, string>>

interface Metric {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly values: readonly { readonly labels?: Labels; readonly value: number }[]
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The text that Prometheus reads, of the last run of each pipeline and of this process. */
export function metrics(runs: ReadonlyMap<string, RunRecord | undefined>, usage: Usage): string {
  const all = [...runs].map(([pipeline, run]) => ({ pipeline, run, state: stateOf(run), view: run && viewOf(run) }))
  const steps = all.flatMap(({ pipeline, view }) => (view?.steps ?? []).map((step) => ({ step, labels: { pipeline, step: step.id } })))
  const endpoints = all.flatMap(({ pipeline, view }) =>
    (view?.endpoints ?? []).map((endpoint) => ({ endpoint, labels: { pipeline, chain: endpoint.chain, endpoint: endpoint.endpoint } })),
  )
  const ofRuns = (pick: (run: RunRecord) => number | undefined) =>
    all.flatMap(({ pipeline, run }) => {
      const value = run && pick(run)
      return value === undefined ? [] : [{ labels: { pipeline }, value }]
    })
  return text([
    gauge(
      'pipe_run_running',
      'Whether a run of the pipeline is under way.',
      all.map(({ pipeline, state }) => ({ labels: { pipeline }, value: isOn(state) })),
    ),
    gauge(
      'pipe_run_state',
      'How the pipeline stands: 1 for its state.',
      all.map(({ pipeline, state }) => ({ labels: { pipeline, state }, value: 1 })),
    ),
    gauge(
      'pipe_run_start_time_seconds',
      'When the last run began.',
      ofRuns(({ startedAt }) => startedAt / 1_000),
    ),
    gauge(
      'pipe_run_end_time_seconds',
      'When the last run ended.',
      ofRuns(({ endedAt }) => (endedAt === undefined ? undefined : endedAt / 1_000)),
    ),
    gauge(
      'pipe_run_exit_code',
      'Exit code of the last run.',
      ofRuns(({ exitCode }) => exitCode),
    ),
    counter(
      'pipe_step_pieces_done_total',
      'Pieces (blocks, rows, days) committed in the last run.',
      steps.map(({ step, labels }) => ({ labels, value: step.done })),
    ),
    gauge(
      'pipe_step_pieces_planned',
      'Pieces planned in the last run.',
      steps.map(({ step, labels }) => ({ labels, value: step.total ?? 0 })),
    ),
    gauge(
      'pipe_step_quarantined',
      'Units and keys whose attempts are used up.',
      steps.map(({ step, labels }) => ({ labels, value: step.quarantined })),
    ),
    counter(
      'pipe_rows_committed_total',
      'Rows committed in the last run.',
      steps.flatMap(({ step, labels }) => Object.entries(step.rows).map(([table, value]) => ({ labels: { ...labels, table }, value }))),
    ),
    counter(
      'pipe_endpoint_requests_total',
      'Requests to an endpoint in the last run.',
      endpoints.map(({ endpoint, labels }) => ({ labels, value: endpoint.requests })),
    ),
    counter(
      'pipe_endpoint_received_bytes_total',
      'Bytes of its answers.',
      endpoints.map(({ endpoint, labels }) => ({ labels, value: endpoint.bytes })),
    ),
    counter(
      'pipe_endpoint_request_duration_seconds_total',
      'Time of its requests together.',
      endpoints.map(({ endpoint, labels }) => ({ labels, value: endpoint.ms / 1_000 })),
    ),
    counter(
      'pipe_endpoint_retries_total',
      'Requests that were sent again.',
      endpoints.flatMap(({ endpoint, labels }) =>
        Object.entries(endpoint.retries).map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
      ),
    ),
    gauge(
      'pipe_endpoint_up',
      'Whether the endpoint answers.',
      endpoints.map(({ endpoint, labels }) => ({ labels, value: endpoint.health === 'up' ? 1 : 0 })),
    ),
    counter('process_cpu_seconds_total', 'Processor time of the server.', [{ value: usage.cpuSeconds }]),
    gauge('process_resident_memory_bytes', 'Memory of the server.', [{ value: usage.residentBytes }]),
    gauge('process_start_time_seconds', 'When the server began.', [{ value: usage.startedAt }]),
  ])
}

const isOn = (state: PipelineState) => (UNDER_WAY.has(state) ? 1 : 0)

const gauge = (name: string, help: string, values: Metric['values']): Metric => ({ name, type: 'gauge', help, values })
const counter = (name: string, help: string, values: Metric['values']): Metric => ({ name, type: 'counter', help, values })

function text(all: readonly Metric[]): string {
  const lines = all
    .filter(({ values }) => values.length > 0)
    .flatMap(({ name, type, help, values }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...values.map(({ labels = {}, value }) => `${name}${labelText(labels)} ${value}`),
    ])
  return `${lines.join('\n')}\n`
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
