-- What is known of each position, and of each event: the tables of the enrichment beside those of the indexer.
CREATE VIEW positions_enriched AS
SELECT n.token_id, n.owner, n.tick_lower, n.tick_upper, n.liquidity, a.pool, r.status, m.amount0, m.amount1, m.value_usd, m.il_usd, m.il_percent,
       f.fees_usd, p.apr, h.edge_percent, h.score
FROM positions n
LEFT JOIN position_pools a ON a.token_id = n.token_id
LEFT JOIN position_range r ON r.token_id = n.token_id
LEFT JOIN position_amounts m ON m.token_id = n.token_id
LEFT JOIN (SELECT token_id, sum(fees_usd) AS fees_usd FROM event_fees GROUP BY token_id) f ON f.token_id = n.token_id
LEFT JOIN pool_apr p ON p.pool = a.pool
LEFT JOIN position_health h ON h.token_id = n.token_id;

CREATE VIEW position_events_enriched AS
SELECT e.id, e.token_id, coalesce(a.pool, nullif(lower(e.pool), 'unknown')) AS pool, e.event_type, e.time, e.amount0, e.amount1, f.fees0, f.fees1, f.fees_usd
FROM position_events e
LEFT JOIN position_pools a ON a.token_id = e.token_id
LEFT JOIN event_fees f ON f.id = e.id;
