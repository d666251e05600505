"""Pure functions on columns and frames: no session, no path, no action."""
