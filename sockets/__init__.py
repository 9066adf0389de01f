"""The Socket.IO edge: decode, authorise, answer."""
