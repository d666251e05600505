"""Unfitted pipelines, and plain arithmetic on what they return."""
