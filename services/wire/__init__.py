"""How vendors are reached: HTTP, server-sent events, retries."""
