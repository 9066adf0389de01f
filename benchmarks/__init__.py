"""Load generators, and the peer this server is compared with."""
