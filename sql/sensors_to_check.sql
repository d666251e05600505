-- Which sensors have shifted, frozen or gone silent, the worst first?
SELECT asset_id, signal, status, ROUND(drift_score, 1) AS drift_score, words
FROM gold.feature_drift
WHERE status IN ('shifted', 'frozen', 'vanished') AND asset_id <> 'all'
ORDER BY drift_score DESC NULLS LAST, asset_id, signal
