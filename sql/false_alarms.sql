-- Which turbines cried wolf: how many of their alerting windows were followed by no failure?
SELECT
  asset_id,
  SUM(CASE WHEN outcome = 'false_alarm' THEN 1 ELSE 0 END) AS false_alarms,
  SUM(CASE WHEN outcome = 'caught' THEN 1 ELSE 0 END) AS caught,
  MAX(CASE WHEN outcome = 'false_alarm' THEN window_end END) AS last_false_alarm
FROM gold.prediction_outcomes
WHERE is_alert AND outcome IS NOT NULL
GROUP BY asset_id
ORDER BY false_alarms DESC, asset_id
