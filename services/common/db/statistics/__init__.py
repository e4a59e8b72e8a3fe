"""Statements about what happened in a span of time: from rows, and from their summaries."""
