"""Turbine health: from raw sensor logs to failure and time-to-failure tables."""

__version__ = "0.1.0"
