"""Workers are killed, Redis and all of the server restarted under load, and every promise is checked afterwards."""
