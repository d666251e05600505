-- How is the whole fleet today, and how many failures are to be expected within the horizon?
SELECT
  as_of,
  turbines,
  scored,
  alerting,
  open_episodes,
  without_fresh_data,
  ROUND(expected_failures, 2) AS expected_failures,
  failures_last_30_days,
  warned_last_30_days,
  drifting_signals
FROM gold.fleet_status
