// @ts-check
import { Requests } from "./requests.js";

const AGAIN_MS = 5_000;

/**
 * A namespace beside `/text` on the same line. Joined whenever the line is up; a server that does not know the
 * namespace refuses, and nothing of it is shown.
 */
export class Channel {
  /** @type {any} */
  #socket;
  #requests;
  #isLineUp = false;
  /** @type {any} */
  #again = null;

  /**
   * @param {Object} parts
   * @param {any} parts.socket socket.io-client's, not connected yet.
   * @param {readonly string[]} parts.events
   * @param {(name: string, payload: any) => void} parts.onEvent Everything the server says, `welcome` included.
   * @param {() => void} [parts.onLost] The line went, or the server no longer offers this.
   */
  constructor({ socket, events, onEvent, onLost = () => {} }) {
    this.#socket = socket;
    this.#requests = new Requests(socket);
    socket.on("connect", () => this.#requests.resend());
    socket.on("disconnect", () => {
      this.#requests.interrupt();
      onLost();
    });
    socket.on("connect_error", (/** @type {any} */ error) => this.#refused(error));
    for (const name of events) socket.on(name, (/** @type {any} */ payload) => onEvent(name, payload));
  }

  get isUp() {
    return this.#socket.connected;
  }

  /** The line is up. A namespace that was joined before joins again by itself. */
  join() {
    this.#isLineUp = true;
    if (!this.#socket.active) this.#socket.connect();
  }

  /** The line has gone. */
  lineLost() {
    this.#isLineUp = false;
    clearTimeout(this.#again);
  }

  leave() {
    this.lineLost();
    this.#socket.disconnect();
  }

  /**
   * @param {string} event
   * @param {any} [payload]
   * @param {(ack: any) => void} [onAck]
   * @param {{isLasting?: boolean}} [how]
   * @returns {Promise<any>}
   */
  ask(event, payload, onAck, how) {
    return this.#requests.ask(event, payload, onAck, how);
  }

  /**
   * Send without an acknowledgement.
   * @param {string} event
   * @param {any} payload
   * @returns {boolean} False when the line is down: nothing was sent.
   */
  send(event, payload) {
    if (!this.isUp) return false;
    this.#socket.emit(event, payload);
    return true;
  }

  /** @param {any} error */
  #refused(error) {
    clearTimeout(this.#again);
    if (error.data?.retryable && this.#isLineUp) this.#again = setTimeout(() => this.#isLineUp && this.join(), AGAIN_MS);
  }
}
