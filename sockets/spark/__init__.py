"""Spark's own chat protocol, spoken by this server: one signed WebSocket, one question, one answer in frames."""
