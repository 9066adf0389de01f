"""The work: turns, the relay, vendors, people and what they may spend. Knows neither Flask nor Socket.IO."""
