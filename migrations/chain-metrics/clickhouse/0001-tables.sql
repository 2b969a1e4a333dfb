-- The tables with their engines, as pipe makes them, and with what it can't say: months as partitions where the time is part of the
-- key, and a TTL by the time of the row. _pipe_written is when a row was written: rows of old blocks stay until rollups are made of them.
-- pipe keeps what counts of a key in _pipe_version and _pipe_deleted; read with FINAL.
-- A table that is there already stays as it is.

CREATE TABLE IF NOT EXISTS blocks (
  origin_key String,
  number Int64,
  hash String,
  parent_hash String,
  timestamp DateTime64(6, 'UTC'),
  gas_used Int64,
  base_fee Nullable(Decimal(20,0)),
  transactions Int32,
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
ORDER BY (origin_key, number)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 12 HOUR
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS transactions (
  origin_key String,
  block_number Int64,
  tx_index Int32,
  timestamp DateTime64(6, 'UTC'),
  from_address String,
  to_address Nullable(String),
  gas_used Decimal(18,0),
  gas_price Decimal(20,0),
  l1_fee Nullable(Decimal(38,0)),
  fee Decimal(38,0),
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
ORDER BY (origin_key, block_number, tx_index)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 12 HOUR
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS prices (
  origin_key String,
  token String,
  time DateTime64(6, 'UTC'),
  usd Float64,
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
ORDER BY (origin_key, time)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS chain_metrics_block (
  origin_key String,
  block_number Int64,
  timestamp DateTime64(6, 'UTC'),
  txcount Int64,
  gas_used Int64,
  base_fee Nullable(Decimal(20,0)),
  fees Decimal(38,0),
  fees_usd Nullable(Float64),
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
ORDER BY (origin_key, block_number)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 12 HOUR
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS contract_metrics_block (
  origin_key String,
  block_number Int64,
  timestamp DateTime64(6, 'UTC'),
  contract_address String,
  txcount Int64,
  gas Decimal(38,0),
  fees Decimal(38,0),
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
ORDER BY (origin_key, block_number, contract_address)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 12 HOUR
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS active_addresses (
  origin_key String,
  block_number Int64,
  timestamp DateTime64(6, 'UTC'),
  address String,
  txcount Int64,
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
ORDER BY (origin_key, block_number, address)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 12 HOUR
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS chain_metrics_1m (
  origin_key String,
  timestamp DateTime64(6, 'UTC'),
  blocks Int64,
  txcount Int64,
  gas_used Decimal(38,0),
  fees Decimal(38,0),
  fees_usd Nullable(Float64),
  unpriced_blocks Int64,
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (origin_key, timestamp)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS chain_metrics_1h (
  origin_key String,
  timestamp DateTime64(6, 'UTC'),
  blocks Int64,
  txcount Int64,
  gas_used Decimal(38,0),
  fees Decimal(38,0),
  fees_usd Nullable(Float64),
  unpriced_blocks Int64,
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (origin_key, timestamp)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS chain_metrics_1d (
  origin_key String,
  timestamp DateTime64(6, 'UTC'),
  blocks Int64,
  txcount Int64,
  gas_used Decimal(38,0),
  fees Decimal(38,0),
  fees_usd Nullable(Float64),
  unpriced_blocks Int64,
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (origin_key, timestamp)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS contract_metrics_1m (
  origin_key String,
  timestamp DateTime64(6, 'UTC'),
  contract_address String,
  txcount Int64,
  gas Decimal(38,0),
  fees Decimal(38,0),
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (origin_key, timestamp, contract_address)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS contract_metrics_1h (
  origin_key String,
  timestamp DateTime64(6, 'UTC'),
  contract_address String,
  txcount Int64,
  gas Decimal(38,0),
  fees Decimal(38,0),
  _pipe_written DateTime MATERIALIZED now(),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (origin_key, timestamp, contract_address)
TTL greatest(toDateTime(timestamp), _pipe_written) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS contract_metrics_1d (
  origin_key String,
  timestamp DateTime64(6, 'UTC'),
  contract_address String,
  txcount Int64,
  gas Decimal(38,0),
  fees Decimal(38,0),
  _pipe_version UInt64 MATERIALIZED 0,
  _pipe_deleted UInt8 MATERIALIZED 0
) ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (origin_key, timestamp, contract_address)
SETTINGS non_replicated_deduplication_window = 1000;
