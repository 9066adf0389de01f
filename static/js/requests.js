// @ts-check

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
 * @property {boolean} isLasting Sent again on the next connection; otherwise refused when this one goes.
 * @property {(ack: any) => void} onAck Called at once, before any event that follows the acknowledgement.
 * @property {(ack: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {any} timer
 * @property {number} tries
 */

const ACK_MS = 8_000;
const TRIES = 4;

/**
 * What was asked on one namespace and not answered yet. Sends it again until it is, which every request of the
 * protocol allows: they are idempotent by `client_id` or by nature.
 */
export class Requests {
  /** @type {any} */
  #socket;
  /** @type {Set<Pending>} */
  #pending = new Set();

  /** @param {any} socket socket.io-client's. */
  constructor(socket) {
    this.#socket = socket;
  }

  /**
   * @param {string} event
   * @param {any} [payload]
   * @param {(ack: any) => void} [onAck]
   * @param {{isLasting?: boolean}} [how]
   * @returns {Promise<any>} The acknowledgement; rejects with `RequestError`.
   */
  ask(event, payload = {}, onAck = () => {}, { isLasting = true } = {}) {
    return new Promise((resolve, reject) => {
      /** @type {Pending} */
      const request = { event, payload, isLasting, onAck, resolve, reject, timer: null, tries: 0 };
      this.#pending.add(request);
      if (this.#socket.connected) this.#send(request);
      else if (isLasting) request.timer = setTimeout(() => this.#settle(request, null), ACK_MS * TRIES);
      else this.#settle(request, null);
    });
  }

  /** The namespace is connected, for the first time or again. */
  resend() {
    for (const request of this.#pending) this.#send(request);
  }

  /** The connection has gone, but will come back. */
  interrupt() {
    for (const request of [...this.#pending]) if (!request.isLasting) this.#settle(request, null);
  }

  /** Nobody will answer any more. */
  refuse() {
    for (const request of [...this.#pending]) this.#settle(request, null);
  }

  /** @param {Pending} request */
  #send(request) {
    clearTimeout(request.timer);
    request.tries += 1;
    request.timer = setTimeout(() => {
      if (request.tries < TRIES && this.#socket.connected) this.#send(request);
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
