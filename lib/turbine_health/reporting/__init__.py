"""Small pandas frames in, plotly figures and pages out. Never Spark."""
