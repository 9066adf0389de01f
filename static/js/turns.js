// @ts-check
import { TURN_EVENTS } from "./event_names.js";
import { TurnStream } from "./turn_stream.js";

/** @typedef {import("./types.js").TurnPlace} TurnPlace */
/** @typedef {{ask: (event: string, payload?: any, onAck?: (ack: any) => void) => Promise<any>}} Connection A namespace. */

/** The turns this page follows: hands every entry to its stream, and catches up after a lost connection. No DOM. */
export class Turns {
  /** @type {Map<string, TurnStream>} */
  #streams = new Map();
  /** @type {Connection} */
  #connection;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
  }

  /**
   * Start a turn; the server attaches its caller at once.
   * @param {"turn_start" | "turn_regenerate" | "voice_start" | "picture_read" | "picture_draw"} event
   * @param {object} request
   * @param {(ack: any & TurnPlace & {text?: string}, stream: TurnStream) => void} onStarted Before the turn's first entry is applied.
   */
  async start(event, request, onStarted) {
    await this.#connection.ask(event, request, (ack) => {
      const stream = this.#stream(ack.turn);
      onStarted(ack, stream);
      if (ack.text !== undefined) stream.attached({ ...ack, from: ack.offset }); // its log has gone
      else if (ack.offset > 0) stream.attach(); // it ran already: the acknowledgement of an earlier try was lost
    });
  }

  /**
   * Follow a turn that runs, from its beginning or from where this page left it.
   * @param {string} turn
   */
  follow(turn) {
    const known = this.#streams.get(turn);
    const stream = known ?? this.#stream(turn);
    if (!known) stream.attach();
    return stream;
  }

  /** @param {{turn: string} | {client_id: string}} which */
  stop(which) {
    return this.#connection.ask("turn_stop", which);
  }

  /** Let go of turns that nobody looks at any more; they run on. */
  detachAll() {
    for (const [turn, stream] of this.#streams) {
      if (!stream.ending) this.#connection.ask("turn_detach", { turn }).catch(() => {});
      this.#streams.delete(turn);
    }
  }

  /** After a reconnect: the server knows nothing of this socket, so every unfinished turn is attached anew. */
  catchUp() {
    for (const stream of this.#streams.values()) {
      stream.attachFailed();
      stream.attach();
    }
  }

  /**
   * @param {string} name
   * @param {any} entry
   */
  receive(name, entry) {
    if (TURN_EVENTS.includes(name)) this.#streams.get(entry.turn)?.receive(name, entry);
  }

  /** @param {string} turn */
  #stream(turn) {
    const known = this.#streams.get(turn);
    if (known) return known;
    const stream = new TurnStream({
      turn,
      attach: (position) => void this.#attach(stream, position),
    });
    this.#streams.set(turn, stream);
    return stream;
  }

  /** @param {TurnStream} stream @param {import("./turn_stream.js").Position} position */
  async #attach(stream, position) {
    try {
      await this.#connection.ask("turn_attach", position, (ack) => {
        stream.attached(ack);
        if (ack.status !== "running" && ack.text !== undefined && ack.from >= ack.offset) stream.settle(ack);
      });
    } catch (error) {
      if (/** @type {any} */ (error).code === "invalid_request" && position.after > 0) stream.startOver();
      else if (/** @type {any} */ (error).code === "not_found") stream.settle({ status: "interrupted" });
      else stream.attachFailed();
    }
  }
}
