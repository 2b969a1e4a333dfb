-- What the days of the backfill are, one row a day: done where every block of it is in the tables.
CREATE VIEW IF NOT EXISTS backfill_checkpoint AS
SELECT toDate32('1970-01-01') + number AS day,
       multiIf(min(state = 'done') = 1, 'completed', max(state = 'failed') = 1, 'failed', max(state = 'running') = 1, 'in_progress', 'pending') AS status,
       max(attempts) AS attempts, max(error) AS error, max(updated_at) AS updated_at
FROM (
  SELECT arrayJoin(range(toUInt64(intDiv(assumeNotNull(first), 86400000000)), toUInt64(intDiv(assumeNotNull(last), 86400000000) + 1))) AS number, state, attempts, error, updated_at
  FROM _pipe_units FINAL WHERE pipeline = 'transfers' AND step = 'transfers' AND first IS NOT NULL
)
GROUP BY number;

-- Who works, with what it was last seen at. Older than a minute: that process is gone.
CREATE VIEW IF NOT EXISTS worker_heartbeats AS
SELECT worker AS worker_id, host, pid, step, unit AS day, started_at, heartbeat_at AS last_heartbeat
FROM _pipe_workers FINAL WHERE pipeline = 'transfers';
