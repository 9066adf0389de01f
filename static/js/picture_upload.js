// @ts-check
import { newClientId } from "./client_id.js";

const PART_BYTES = 262_144;

/**
 * @typedef {import("./types.js").Picture} Picture
 * @typedef {(event: string, payload: any) => Promise<any>} Ask Asks again over a new connection until it is answered.
 */

/**
 * One picture on its way to the server, in acknowledged parts: the server tells each time where to go on, so that a
 * part sent twice or lost changes nothing. No DOM.
 */
export class PictureUpload {
  /** The server's name for it, once it has begun. */
  id = "";
  #ask;
  #file;
  #onProgress;
  #isCancelled = false;

  /**
   * @param {Object} parts
   * @param {Ask} parts.ask
   * @param {Blob} parts.file
   * @param {(share: number) => void} parts.onProgress From 0 to 1: what the server has.
   */
  constructor({ ask, file, onProgress }) {
    this.#ask = ask;
    this.#file = file;
    this.#onProgress = onProgress;
  }

  /**
   * @returns {Promise<Picture | null>} The stored picture; null when it was cancelled. Rejects with `RequestError`.
   */
  async send() {
    try {
      return await this.#send(newClientId());
    } catch (error) {
      if (/** @type {any} */ (error).code !== "not_found") throw error;
      return this.#send(newClientId()); // it had expired while the line was away
    }
  }

  /** No further part is sent; the server forgets what it has. */
  cancel() {
    this.#isCancelled = true;
  }

  /** @param {string} client_id */
  async #send(client_id) {
    const { size, type } = this.#file;
    let ack = await this.#ask("picture_upload", { client_id, bytes: size, type });
    const { upload } = ack;
    this.id = upload;
    while (!ack.picture && !this.#isCancelled) {
      const at = ack.next;
      this.#onProgress(at / size);
      const data = await this.#file.slice(at, at + PART_BYTES).arrayBuffer();
      ack = await this.#ask("picture_part", { upload, at, data });
    }
    if (this.#isCancelled) return null;
    this.#onProgress(1);
    return ack.picture;
  }
}
