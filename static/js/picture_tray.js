// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { PictureUpload } from "./picture_upload.js";

/** @typedef {import("./types.js").Picture} Picture */

/**
 * @typedef {Object} Item A picture that lies beside the message box.
 * @property {string} src To show it here.
 * @property {string} name
 * @property {Picture | null} picture Null while it is on its way.
 * @property {HTMLElement} card
 * @property {() => void} close
 */

/** The pictures for the next question: on their way with progress, then there to be read, described or asked about. */
export class PictureTray {
  element = element("ul", { className: "tray", hidden: true });
  #note = element("p", { className: "tray-note hint", hidden: true, attributes: { role: "status" } });
  /** @type {Item[]} */
  #items = [];
  #parts;

  /**
   * @param {Object} parts
   * @param {HTMLElement} parts.host
   * @param {import("./picture_upload.js").Ask} parts.ask
   * @param {(task: "ocr" | "describe", item: {src: string, name: string, picture: Picture}) => void} parts.onRead
   * @param {(task: "ocr" | "describe") => boolean} parts.canRead What the server can do with a picture.
   * @param {() => void} parts.onChange
   * @param {() => void} parts.onLeft One goes from the page, and the focus was in it.
   * @param {(error: any) => void} parts.onRefused
   */
  constructor(parts) {
    this.#parts = parts;
    i18n.mark(this.element, { tLabel: "pictures" });
    parts.host.append(this.element, this.#note);
  }

  get count() {
    return this.#items.length;
  }

  /** All have arrived. */
  get isReady() {
    return this.#items.every((item) => item.picture);
  }

  /** @returns {Picture[]} */
  get pictures() {
    return this.#items.flatMap((item) => item.picture ?? []);
  }

  /** A word about what keeps them from being sent; empty for none. @param {string} word @param {Record<string, string>} [tArgs] */
  warn(word, tArgs) {
    this.#note.hidden = !word;
    if (word) i18n.mark(this.#note, { t: word, tArgs });
  }

  /** @param {File} file */
  async add(file) {
    const src = URL.createObjectURL(file);
    const bar = element("progress", { attributes: { max: "1", value: "0" }, tLabel: "picture_sending" });
    const upload = new PictureUpload({ ask: this.#parts.ask, file, onProgress: (share) => (bar.value = share) });
    const item = this.#put({ src, name: file.name, picture: null }, bar, () => {
      upload.cancel();
      URL.revokeObjectURL(src);
    });
    await this.#send(item, upload, bar);
  }

  /** @param {Item} item @param {PictureUpload} upload @param {HTMLElement} bar */
  async #send(item, upload, bar) {
    try {
      item.picture = await upload.send();
      if (item.picture) bar.replaceWith(...this.#acts(item));
      this.#parts.onChange();
    } catch (error) {
      this.#parts.onRefused(error);
      if (/** @type {any} */ (error).code !== "unreachable") return this.#take(item);
      const again = button({ icon: "again", t: "try_again", className: "chip", onClick: () => {
        again.replaceWith(bar);
        void this.#send(item, upload, bar);
      } });
      bar.replaceWith(again);
    }
  }

  /** One that the server has already. @param {Picture} picture @param {{src: string, name: string}} shown */
  addStored(picture, { src, name }) {
    const bar = element("span");
    const item = this.#put({ src, name, picture }, bar, () => {});
    bar.replaceWith(...this.#acts(item));
    this.#parts.onChange();
  }

  /** @param {{picture: Picture | null}} which */
  remove({ picture }) {
    const item = this.#items.find((known) => known.picture === picture);
    if (item) this.#take(item);
  }

  clear() {
    for (const item of [...this.#items]) this.#take(item);
  }

  /** @param {{src: string, name: string, picture: Picture | null}} parts @param {HTMLElement} bar @param {() => void} close */
  #put(parts, bar, close) {
    const image = element("img", { attributes: { src: parts.src, alt: parts.name } });
    const away = button({ icon: "close", tLabel: "picture_remove", className: "quiet icon-button", onClick: () => this.#take(item) });
    const card = element("li", { className: "tray-card" }, [image, element("div", { className: "tray-acts" }, [bar]), away]);
    /** @type {Item} */
    const item = { ...parts, card, close };
    this.#items.push(item);
    this.element.append(card);
    this.element.hidden = false;
    this.#parts.onChange();
    return item;
  }

  /** @param {Item} item */
  #acts(item) {
    const words = /** @type {const} */ ({ ocr: "picture_read", describe: "picture_describe" });
    return /** @type {("ocr" | "describe")[]} */ (["ocr", "describe"])
      .filter((task) => this.#parts.canRead(task))
      .map((task) => button({ t: words[task], className: "chip", onClick: () => this.#parts.onRead(task, /** @type {any} */ (item)) }));
  }

  /** @param {Item} item */
  #take(item) {
    const hadFocus = item.card.contains(document.activeElement);
    item.close();
    item.card.remove();
    if (hadFocus) this.#parts.onLeft();
    this.#items = this.#items.filter((known) => known !== item);
    this.element.hidden = !this.#items.length;
    this.#parts.onChange();
  }
}
