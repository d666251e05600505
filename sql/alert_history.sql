-- Which alerts has each turbine had, how did they end, and how much warning did they give?
SELECT
  asset_id,
  opened_at,
  closed_at,
  status,
  ROUND(peak_probability, 3) AS peak_probability,
  failure_mode,
  ROUND(lead_time_days, 1) AS lead_time_days,
  main_reason
FROM gold.alert_episodes
ORDER BY opened_at DESC, asset_id
