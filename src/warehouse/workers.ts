import { type Row, sql, type Statement, type WorkerRow } from '../sdk/index.js'

/** The row of `_pipe_workers` of a worker. */
export function workerRow({ worker, pipeline, host, pid, step, unit, startedAt, heartbeatAt }: WorkerRow): Row {
  return {
    worker,
    pipeline,
    host,
    pid: BigInt(pid),
    step: step ?? null,
    unit: unit ?? null,
    started_at: startedAt,
    heartbeat_at: heartbeatAt,
  }
}

/** Writes it over the one before. */
export function putWorker({ worker, pipeline, host, pid, step, unit, startedAt, heartbeatAt }: WorkerRow): Statement {
  return sql`
    INSERT INTO _pipe_workers (worker, pipeline, host, pid, step, unit, started_at, heartbeat_at)
    VALUES (
      ${text(worker)}, ${text(pipeline)}, ${text(host)}, ${int(BigInt(pid))},
      ${text(step ?? null)}, ${text(unit ?? null)}, ${time(startedAt)}, ${time(heartbeatAt)}
    )
    ON CONFLICT (worker) DO UPDATE SET
      pipeline = excluded.pipeline,
      host = excluded.host,
      pid = excluded.pid,
      step = excluded.step,
      unit = excluded.unit,
      started_at = excluded.started_at,
      heartbeat_at = excluded.heartbeat_at`
}

const text = (value: string | null) => ({ type: { kind: 'text' }, value }) as const
const int = (value: bigint) => ({ type: { kind: 'bigint' }, value }) as const
const time = (value: bigint) => ({ type: { kind: 'timestamp' }, value }) as const
