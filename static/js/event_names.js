// @ts-check
/** The names on the wire; the server's own lists are in `sockets/`, and tests compare them. */

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

/** What `/voice` says besides. */
export const VOICE_EVENTS = Object.freeze([
  "welcome",
  "turn_state",
  "turn_delta",
  "turn_rewind",
  "turn_end",
  "voice_ack",
  "voice_overrun",
  "voice_refused",
  "voice_partial",
  "voice_final",
  "voice_answer",
  "voice_speech",
  "voice_speech_end",
  "voice_speech_over",
  "voice_started",
]);

export const PICTURE_EVENTS = Object.freeze(["welcome", "turn_state", "turn_delta", "turn_rewind", "turn_end"]);

/** Entries of a turn's log: what a `TurnStream` is given. */
export const TURN_EVENTS = Object.freeze([
  "turn_state",
  "turn_delta",
  "turn_rewind",
  "turn_end",
  "voice_partial",
  "voice_final",
  "voice_answer",
]);
