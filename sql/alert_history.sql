-- How often did each turbine alert, month by month, and how high did its risk climb?
SELECT
  asset_id,
  DATE_TRUNC('month', window_end) AS month,
  COUNT(*) AS windows,
  SUM(CASE WHEN is_alert THEN 1 ELSE 0 END) AS alerting_windows,
  ROUND(MAX(failure_probability), 3) AS highest_probability,
  MIN(CASE WHEN is_alert THEN window_end END) AS first_alert,
  MAX(CASE WHEN is_alert THEN window_end END) AS last_alert
FROM gold.failure_predictions
WHERE model_role = 'champion'
GROUP BY asset_id, DATE_TRUNC('month', window_end)
HAVING SUM(CASE WHEN is_alert THEN 1 ELSE 0 END) > 0
ORDER BY month DESC, asset_id
