-- Which turbines have no fresh or too little data, so that nobody knows how they are?
WITH newest AS (
  SELECT asset_id, MAX(window_end) AS window_end
  FROM gold.failure_predictions
  WHERE model_role = 'champion'
  GROUP BY asset_id
)
SELECT
  prediction.asset_id,
  prediction.quality_status,
  ROUND(prediction.data_age_hours, 1) AS data_age_hours,
  ROUND(prediction.coverage, 3) AS coverage,
  prediction.window_end
FROM gold.failure_predictions AS prediction
INNER JOIN newest ON prediction.asset_id = newest.asset_id AND prediction.window_end = newest.window_end
WHERE prediction.model_role = 'champion' AND prediction.quality_status <> 'ok'
ORDER BY prediction.data_age_hours DESC, prediction.asset_id
