-- Which turbines should a crew look at today, the most urgent first?
WITH newest AS (
  SELECT asset_id, MAX(window_end) AS window_end
  FROM gold.failure_predictions
  WHERE model_role = 'champion'
  GROUP BY asset_id
)
SELECT
  risk.asset_id,
  risk.window_end,
  ROUND(risk.failure_probability, 3) AS failure_probability,
  ROUND(life.predicted_time_to_failure_days, 1) AS days_left,
  risk.data_age_hours,
  risk.model_version
FROM gold.failure_predictions AS risk
INNER JOIN newest ON risk.asset_id = newest.asset_id AND risk.window_end = newest.window_end
LEFT JOIN gold.time_to_failure_predictions AS life
  ON life.asset_id = risk.asset_id AND life.window_end = risk.window_end AND life.model_role = 'champion'
WHERE risk.model_role = 'champion' AND risk.is_alert
ORDER BY risk.failure_probability DESC, risk.asset_id
