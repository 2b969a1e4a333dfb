-- The rollups as people read them: fees_native is in the coin of the chain, not in wei.
CREATE VIEW chain_metrics_1m_v AS
SELECT origin_key, timestamp, blocks, txcount, gas_used, fees, fees_usd, unpriced_blocks, CAST(fees AS double precision) / 1e18 AS fees_native
FROM chain_metrics_1m;

CREATE VIEW chain_metrics_1h_v AS
SELECT origin_key, timestamp, blocks, txcount, gas_used, fees, fees_usd, unpriced_blocks, CAST(fees AS double precision) / 1e18 AS fees_native
FROM chain_metrics_1h;

CREATE VIEW chain_metrics_1d_v AS
SELECT origin_key, timestamp, blocks, txcount, gas_used, fees, fees_usd, unpriced_blocks, CAST(fees AS double precision) / 1e18 AS fees_native
FROM chain_metrics_1d;

CREATE VIEW contract_metrics_1m_v AS
SELECT origin_key, timestamp, contract_address, txcount, gas, fees, CAST(fees AS double precision) / 1e18 AS fees_native
FROM contract_metrics_1m;

CREATE VIEW contract_metrics_1h_v AS
SELECT origin_key, timestamp, contract_address, txcount, gas, fees, CAST(fees AS double precision) / 1e18 AS fees_native
FROM contract_metrics_1h;

CREATE VIEW contract_metrics_1d_v AS
SELECT origin_key, timestamp, contract_address, txcount, gas, fees, CAST(fees AS double precision) / 1e18 AS fees_native
FROM contract_metrics_1d;
