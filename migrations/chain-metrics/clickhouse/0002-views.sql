-- The rollups as people read them: fees_native is in the coin of the chain, not in wei.
CREATE VIEW IF NOT EXISTS chain_metrics_1m_v AS
SELECT origin_key, timestamp, blocks, txcount, gas_used, fees, fees_usd, unpriced_blocks, toFloat64(fees) / 1e18 AS fees_native
FROM chain_metrics_1m FINAL;

CREATE VIEW IF NOT EXISTS chain_metrics_1h_v AS
SELECT origin_key, timestamp, blocks, txcount, gas_used, fees, fees_usd, unpriced_blocks, toFloat64(fees) / 1e18 AS fees_native
FROM chain_metrics_1h FINAL;

CREATE VIEW IF NOT EXISTS chain_metrics_1d_v AS
SELECT origin_key, timestamp, blocks, txcount, gas_used, fees, fees_usd, unpriced_blocks, toFloat64(fees) / 1e18 AS fees_native
FROM chain_metrics_1d FINAL;

CREATE VIEW IF NOT EXISTS contract_metrics_1m_v AS
SELECT origin_key, timestamp, contract_address, txcount, gas, fees, toFloat64(fees) / 1e18 AS fees_native
FROM contract_metrics_1m FINAL;

CREATE VIEW IF NOT EXISTS contract_metrics_1h_v AS
SELECT origin_key, timestamp, contract_address, txcount, gas, fees, toFloat64(fees) / 1e18 AS fees_native
FROM contract_metrics_1h FINAL;

CREATE VIEW IF NOT EXISTS contract_metrics_1d_v AS
SELECT origin_key, timestamp, contract_address, txcount, gas, fees, toFloat64(fees) / 1e18 AS fees_native
FROM contract_metrics_1d FINAL;
