-- What the days of the backfill are, one row a day: done where every block of it is in the tables.
CREATE VIEW backfill_checkpoint AS
WITH days AS (
  SELECT generate_series(first / 86400000000, last / 86400000000) AS number, state, attempts, error, updated_at
  FROM _pipe_units WHERE pipeline = 'transfers' AND step = 'transfers' AND first IS NOT NULL
)
SELECT CAST(date '1970-01-01' + CAST(number AS int) AS date) AS day,
       CASE WHEN bool_and(state = 'done') THEN 'completed' WHEN bool_or(state = 'failed') THEN 'failed'
            WHEN bool_or(state = 'running') THEN 'in_progress' ELSE 'pending' END AS status,
       max(attempts) AS attempts, max(error) AS error, max(updated_at) AS updated_at
FROM days GROUP BY number;

-- Who works, with what it was last seen at. Older than a minute: that process is gone.
CREATE VIEW worker_heartbeats AS
SELECT worker AS worker_id, host, pid, step, unit AS day, started_at, heartbeat_at AS last_heartbeat
FROM _pipe_workers WHERE pipeline = 'transfers';
