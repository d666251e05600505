-- Which failures came without an alert, and what did the last scores before them say?
SELECT
  asset_id,
  failed_at,
  failure_mode,
  scored_windows,
  ROUND(highest_probability, 3) AS highest_probability,
  alert_threshold,
  last_main_reason
FROM gold.unwarned_failures
ORDER BY failed_at DESC, asset_id
