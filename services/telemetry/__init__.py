"""Metrics, logs, readiness."""
