// @ts-check
import { SERVER_EVENTS } from "./event_names.js";

/** @typedef {import("./types.js").WireError} WireError */

/** A request that was refused, or that nobody answered (`code` is then `unreachable`). */
export class RequestError extends Error {
  /** @param {WireError} error */
  constructor(error) {
    super(error.message);
    this.code = error.code;
    this.error = error;
  }
}

/**
 * @typedef {Object} Pending
 * @property {string} event
 * @property {any} payload
 * @property {(ack: any) => void} onAck Called at once, before any event that follows the acknowledgement.
 * @property {(ack: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {any} timer
 * @property {number} tries
 */

const ACK_MS = 8_000;
const ASLEEP_MS = 3_000; // a socket that says nothing for so long after a wake-up is dead
const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 5_000;
const TRIES = 4;

/**
 * The socket to `/text`. Comes back by itself and sends again what was not acknowledged, which every request of
 * the protocol allows: they are idempotent by `client_id` or by nature.
 */
export class Connection {
  /** @type {any} */
  #socket;
  /** @type {Set<Pending>} */
  #pending = new Set();
  #failures = 0;
  /** @type {any} */
  #retry = null;
  #wanted = false;
  #handlers;

  /**
   * @param {Object} parts
   * @param {(uri: string, options: object) => any} parts.io socket.io-client's.
   * @param {string} parts.path
   * @param {(name: string, payload: any) => void} parts.onEvent Everything the server says, `welcome` included.
   * @param {(isUp: boolean) => void} parts.onState
   * @param {(error: WireError) => void} parts.onRefused The server does not want this connection.
   */
  constructor({ io, path, ...handlers }) {
    this.#handlers = handlers;
    this.#socket = io("/text", {
      path,
      autoConnect: false,
      reconnection: false, // done here, so that a wake-up or the network's return need not wait for a timer
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      timeout: 10_000,
    });
    this.#socket.on("connect", () => this.#up());
    this.#socket.on("disconnect", () => this.#down());
    this.#socket.on("connect_error", (/** @type {any} */ error) => this.#refused(error));
    for (const name of SERVER_EVENTS) {
      this.#socket.on(name, (/** @type {any} */ payload) => handlers.onEvent(name, payload));
    }
  }

  get isUp() {
    return this.#socket.connected;
  }

  open() {
    this.#wanted = true;
    this.#connect();
  }

  /** Hang up, for instance to come back as somebody else. What was asked and not answered is refused. */
  close() {
    this.#wanted = false;
    clearTimeout(this.#retry);
    this.#socket.disconnect();
    for (const request of this.#pending) this.#settle(request, null);
  }

  /**
   * Ask, and ask again after a lost connection, until the server answers.
   * @param {string} event
   * @param {any} [payload]
   * @param {(ack: any) => void} [onAck]
   * @returns {Promise<any>} The acknowledgement; rejects with `RequestError`.
   */
  ask(event, payload = {}, onAck = () => {}) {
    return new Promise((resolve, reject) => {
      /** @type {Pending} */
      const request = { event, payload, onAck, resolve, reject, timer: null, tries: 0 };
      this.#pending.add(request);
      if (this.isUp) this.#send(request);
      else request.timer = setTimeout(() => this.#settle(request, null), ACK_MS * TRIES);
    });
  }

  /** The page came back to the foreground or the network to the machine: do not wait for a timer to notice. */
  wake() {
    if (!this.#wanted) return;
    if (!this.isUp) {
      this.#failures = 0;
      return this.#connect();
    }
    const socket = this.#socket;
    const timer = setTimeout(() => this.isUp && socket.disconnect() && this.#connect(), ASLEEP_MS);
    socket.emit("sync", {}, () => clearTimeout(timer));
  }

  #connect() {
    clearTimeout(this.#retry);
    if (this.#wanted && !this.isUp) this.#socket.connect();
  }

  #up() {
    this.#failures = 0;
    for (const request of this.#pending) this.#send(request);
    this.#handlers.onState(true);
  }

  #down() {
    this.#handlers.onState(false);
    this.#later();
  }

  #later() {
    if (!this.#wanted) return;
    clearTimeout(this.#retry);
    const delay = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, LAST_DELAY_MS);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#connect(), delay * (0.5 + Math.random()));
  }

  /** @param {any} error */
  #refused(error) {
    this.#handlers.onState(false);
    if (error.data?.code === "unauthenticated") this.#wanted = false; // until someone has come in
    this.#later();
    if (error.data?.code) this.#handlers.onRefused(error.data);
  }

  /** @param {Pending} request */
  #send(request) {
    clearTimeout(request.timer);
    request.tries += 1;
    request.timer = setTimeout(() => {
      if (request.tries < TRIES && this.isUp) this.#send(request);
      else this.#settle(request, null);
    }, ACK_MS);
    this.#socket.emit(request.event, request.payload, (/** @type {any} */ ack) => this.#settle(request, ack));
  }

  /** @param {Pending} request @param {any} ack Null when nobody answered. */
  #settle(request, ack) {
    if (!this.#pending.delete(request)) return; // an earlier try of it was answered
    clearTimeout(request.timer);
    if (ack?.ok) {
      request.onAck(ack);
      request.resolve(ack);
    } else {
      request.reject(new RequestError(ack?.error ?? { code: "unreachable", message: "The server did not answer." }));
    }
  }
}
