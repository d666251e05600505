-- Were the predictions right, month by month, over the whole fleet?
SELECT
  month,
  known_windows,
  failures,
  failures_warned,
  ROUND(precision, 3) AS precision,
  ROUND(recall, 3) AS recall,
  ROUND(brier_score, 4) AS brier_score,
  ROUND(mae_days, 1) AS mae_days,
  ROUND(interval_coverage, 3) AS interval_coverage
FROM gold.realised_metrics
WHERE asset_id = 'all'
ORDER BY month
