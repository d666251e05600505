-- What changed since yesterday: whose risk moved most, and which alerts are new or gone?
WITH clock AS (
  SELECT MAX(window_end) AS today FROM gold.failure_predictions WHERE model_role = 'champion'
),
dated AS (
  SELECT
    prediction.asset_id,
    prediction.window_end,
    prediction.failure_probability,
    prediction.is_alert,
    prediction.window_end > clock.today - INTERVAL 1 DAY AS is_today,
    clock.today,
    ROW_NUMBER() OVER (
      PARTITION BY prediction.asset_id, prediction.window_end
      ORDER BY prediction.scored_at, prediction.model_version
    ) AS place
  FROM gold.failure_predictions AS prediction
  CROSS JOIN clock
  WHERE prediction.model_role = 'champion'
    AND prediction.failure_probability IS NOT NULL
    AND prediction.window_end > clock.today - INTERVAL 2 DAY
),
compared AS (
  SELECT
    asset_id,
    MAX_BY(failure_probability, CASE WHEN is_today THEN window_end END) AS probability_now,
    MAX_BY(failure_probability, CASE WHEN NOT is_today THEN window_end END) AS probability_yesterday,
    MAX_BY(is_alert, CASE WHEN is_today THEN window_end END) AS alert_now,
    MAX_BY(is_alert, CASE WHEN NOT is_today THEN window_end END) AS alert_yesterday
  FROM dated
  WHERE place = 1
  GROUP BY asset_id
)
SELECT
  asset_id,
  ROUND(probability_yesterday, 3) AS probability_yesterday,
  ROUND(probability_now, 3) AS probability_now,
  ROUND(probability_now - probability_yesterday, 3) AS change,
  CASE
    WHEN alert_now AND NOT alert_yesterday THEN 'new alert'
    WHEN alert_yesterday AND NOT alert_now THEN 'alert gone'
    WHEN alert_now THEN 'still alerting'
    ELSE 'quiet'
  END AS what_happened
FROM compared
ORDER BY ABS(COALESCE(probability_now - probability_yesterday, 0)) DESC, asset_id
