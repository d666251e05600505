-- Which turbines have no fresh or too little data, so that nobody knows how they are?
WITH newest_first AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY asset_id
      ORDER BY window_end DESC, CASE WHEN quality_status = 'ok' THEN 0 ELSE 1 END, scored_at, model_version
    ) AS place
  FROM gold.failure_predictions
  WHERE model_role = 'champion'
)
SELECT
  asset_id,
  quality_status,
  ROUND(data_age_hours, 1) AS data_age_hours,
  ROUND(coverage, 3) AS coverage,
  window_end
FROM newest_first
WHERE place = 1 AND quality_status <> 'ok'
ORDER BY data_age_hours DESC NULLS FIRST, asset_id
