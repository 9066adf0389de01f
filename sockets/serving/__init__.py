"""One worker: the HTTP server, the Engine.IO transport and its limits."""
