-- How many days does each turbine have left, between which bounds, and until which date?
WITH newest AS (
  SELECT asset_id, MAX(window_end) AS window_end
  FROM gold.time_to_failure_predictions
  WHERE model_role = 'champion' AND predicted_time_to_failure_days IS NOT NULL
  GROUP BY asset_id
)
SELECT
  life.asset_id,
  ROUND(life.predicted_time_to_failure_days, 1) AS days_left,
  ROUND(life.lower_days, 1) AS at_least,
  ROUND(life.upper_days, 1) AS at_most,
  life.predicted_failure_date,
  life.window_end
FROM gold.time_to_failure_predictions AS life
INNER JOIN newest ON life.asset_id = newest.asset_id AND life.window_end = newest.window_end
WHERE life.model_role = 'champion'
ORDER BY life.predicted_time_to_failure_days, life.asset_id
