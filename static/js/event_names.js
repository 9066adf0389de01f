// @ts-check
/** The names on the wire of `/text`; the server's own list is `sockets/events.py`, and a test compares them. */

export const CLIENT_EVENTS = Object.freeze([
  "turn_start",
  "turn_regenerate",
  "turn_attach",
  "turn_stop",
  "turn_detach",
  "sync",
]);

export const SERVER_EVENTS = Object.freeze([
  "welcome",
  "turn_state",
  "turn_delta",
  "turn_rewind",
  "turn_end",
  "conversation_changed",
  "quota_changed",
]);

/** Entries of a turn's log: what a `TurnStream` is given. */
export const TURN_EVENTS = Object.freeze(["turn_state", "turn_delta", "turn_rewind", "turn_end"]);
