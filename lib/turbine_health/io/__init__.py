"""The only code that touches the outside: sessions, files, tables, MLflow."""

import os

# MLflow reads these while it is imported, so they stand before every module that imports it: no
# usage statistics are sent anywhere, no progress bars end up in log files, and its own INFO lines
# (database migrations, copied files) stay out of ours. What the user has set wins.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
