// @ts-check
import { Channel } from "./channel.js";
import { SERVER_EVENTS } from "./event_names.js";
import { Requests } from "./requests.js";

/** @typedef {import("./types.js").WireError} WireError */

const ASLEEP_MS = 3_000; // a socket that says nothing for so long after a wake-up is dead
const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 5_000;

/**
 * The line to the server with its socket to `/text`. Comes back by itself and sends again what was not acknowledged.
 * Other namespaces are channels on the same line.
 */
export class Connection {
  /** @type {any} */
  #socket;
  #requests;
  /** @type {Channel[]} */
  #channels = [];
  #io;
  #options;
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
    this.#io = io;
    this.#options = {
      path,
      autoConnect: false,
      reconnection: false, // done here, so that a wake-up or the network's return need not wait for a timer
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      timeout: 10_000,
    };
    this.#socket = io("/text", this.#options);
    this.#requests = new Requests(this.#socket);
    this.#socket.on("connect", () => this.#up());
    this.#socket.on("disconnect", () => this.#down());
    this.#socket.on("connect_error", (/** @type {any} */ error) => this.#refused(error));
    for (const name of SERVER_EVENTS) {
      this.#socket.on(name, (/** @type {any} */ payload) => handlers.onEvent(name, payload));
    }
  }

  /**
   * Another namespace, joined whenever this line is up.
   * @param {{namespace: string, events: readonly string[], onEvent: (name: string, payload: any) => void, onLost?: () => void}} parts
   */
  channel({ namespace, ...parts }) {
    const channel = new Channel({ socket: this.#io(namespace, this.#options), ...parts });
    this.#channels.push(channel);
    return channel;
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
    this.#hangUp();
    this.#requests.refuse();
  }

  /**
   * Ask, and ask again after a lost connection, until the server answers.
   * @param {string} event
   * @param {any} [payload]
   * @param {(ack: any) => void} [onAck]
   * @returns {Promise<any>} The acknowledgement; rejects with `RequestError`.
   */
  ask(event, payload, onAck) {
    return this.#requests.ask(event, payload, onAck);
  }

  /** The page came back to the foreground or the network to the machine: do not wait for a timer to notice. */
  wake() {
    if (!this.#wanted) return;
    if (!this.isUp) {
      this.#failures = 0;
      return this.#connect();
    }
    const socket = this.#socket;
    const timer = setTimeout(() => {
      if (!this.isUp) return;
      this.#hangUp();
      this.#connect();
    }, ASLEEP_MS);
    socket.emit("sync", {}, () => clearTimeout(timer));
  }

  #connect() {
    clearTimeout(this.#retry);
    if (this.#wanted && !this.isUp) this.#socket.connect();
  }

  #up() {
    this.#failures = 0;
    this.#requests.resend();
    for (const channel of this.#channels) channel.join();
    this.#handlers.onState(true);
  }

  /** The transport is closed when no namespace uses it any more. */
  #hangUp() {
    for (const channel of this.#channels) channel.leave();
    this.#socket.disconnect();
  }

  #down() {
    for (const channel of this.#channels) channel.lineLost();
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
}
