-- What should be done about the model, the sensors and the data, the most urgent first?
SELECT kind, subject, reason, urgency
FROM ops.recommendations
ORDER BY urgency DESC, kind, subject
