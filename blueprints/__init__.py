"""The HTTP edge: the project's own API, the OpenAI shape, health and the page."""
