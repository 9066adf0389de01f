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
  #ask;
  #file;
  #onProgress;
  #isCancelled = false;
  #clientId = newClientId();

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
   * Begin, or go on after the line was away for long.
   * @returns {Promise<Picture | null>} The stored picture; null when it was cancelled. Rejects with `RequestError`.
   */
  async send() {
    try {
      return await this.#send();
    } catch (error) {
      if (/** @type {any} */ (error).code !== "not_found") throw error;
      this.#clientId = newClientId(); // it had expired meanwhile
      return this.#send();
    }
  }

  /** No further part is sent; the server forgets what it has. */
  cancel() {
    this.#isCancelled = true;
  }

  async #send() {
    const { size, type } = this.#file;
    let ack = await this.#ask("picture_upload", { client_id: this.#clientId, bytes: size, type });
    const { upload } = ack;
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
