"""The order of things: read tables, call pure functions, write tables."""
