-- Why does the model worry: which signals, with what value against what is normal, raise the newest scores?
-- Spark only: LATERAL VIEW takes the list of reasons apart.
WITH newest AS (
  SELECT MAX(window_end) AS window_end FROM gold.failure_predictions WHERE model_role = 'champion'
),
first_served AS (
  SELECT
    prediction.*,
    ROW_NUMBER() OVER (PARTITION BY prediction.asset_id ORDER BY prediction.scored_at, prediction.model_version) AS place_in_window
  FROM gold.failure_predictions AS prediction
  INNER JOIN newest ON newest.window_end = prediction.window_end
  WHERE prediction.model_role = 'champion' AND prediction.quality_status = 'ok'
)
SELECT
  prediction.asset_id,
  ROUND(prediction.failure_probability, 3) AS failure_probability,
  number + 1 AS place,
  ROUND(reason.contribution, 4) AS contribution,
  reason.words
FROM first_served AS prediction
LATERAL VIEW POSEXPLODE(prediction.reasons) explained AS number, reason
WHERE prediction.place_in_window = 1 AND reason.contribution > 0
ORDER BY prediction.failure_probability DESC, prediction.asset_id, place
