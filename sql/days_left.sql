-- How many days does each turbine have left, between which bounds, and until which date?
WITH newest_first AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY asset_id ORDER BY window_end DESC, scored_at, model_version) AS place
  FROM gold.time_to_failure_predictions
  WHERE model_role = 'champion' AND predicted_time_to_failure_days IS NOT NULL
)
SELECT
  asset_id,
  ROUND(predicted_time_to_failure_days, 1) AS days_left,
  ROUND(lower_days, 1) AS at_least,
  ROUND(upper_days, 1) AS at_most,
  predicted_failure_date,
  window_end
FROM newest_first
WHERE place = 1
ORDER BY predicted_time_to_failure_days, asset_id
