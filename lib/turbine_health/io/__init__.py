"""The only code that touches the outside: sessions, files, tables, MLflow."""
