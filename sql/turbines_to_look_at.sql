-- Which turbines should a crew look at today, the one where a visit saves most first, and why?
SELECT
  rank,
  asset_id,
  ROUND(failure_probability, 3) AS failure_probability,
  ROUND(predicted_time_to_failure_days, 1) AS days_left,
  ROUND(expected_cost_avoided, 0) AS expected_cost_avoided,
  alert_opened_at,
  why
FROM gold.maintenance_worklist
WHERE action = 'visit'
ORDER BY rank
