"""Splits, metrics, statistics, and a harness that compares whatever answers a query."""
