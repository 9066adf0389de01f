"""One worker, or several on one port: the HTTP server, the Engine.IO transport, their limits."""
