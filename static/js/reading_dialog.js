// @ts-check
import { copyText } from "./clipboard.js";
import { newClientId } from "./client_id.js";
import { openDialog } from "./dialogs.js";
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { MarkdownView } from "./markdown_view.js";
import { errorWords } from "./notices.js";
import { RegionMap } from "./region_map.js";
import { select } from "./select.js";

/**
 * @typedef {"ocr" | "describe"} Task
 * @typedef {{id: string, name: string, provider: string, tasks: Task[], available: boolean}} Reader
 * @typedef {{src: string, name: string, picture: import("./types.js").Picture}} Item
 *
 * @typedef {Object} Parts
 * @property {Task} task
 * @property {Item} item
 * @property {Reader[]} readers Those that can do it; the first one begins.
 * @property {import("./turns.js").Turns} turns
 * @property {import("./markdown_view.js").Tools} tools
 * @property {import("./announcer.js").Announcer} announcer
 * @property {(text: string) => void} onUse
 */

/** What a picture says, or what it shows: the words as they come, and for text a box around each stretch. */
class Reading {
  #parts;
  #map;
  #words;
  #state = element("p", { className: "hint" });
  #fault = element("p", { className: "form-fault", hidden: true, attributes: { role: "alert" } });
  #reader;
  #acts;
  /** @type {import("./turn_stream.js").TurnStream | null} */
  #stream = null;
  #clientId = "";

  /** @param {Parts} parts */
  constructor(parts) {
    const { task, item, readers, tools, onUse } = parts;
    this.#parts = parts;
    this.#map = new RegionMap({ src: item.src, alt: item.name });
    this.#words = task === "ocr" ? new PlainWords() : new MarkdownView(tools);
    this.#reader = select("picture_reader", readers.map(({ id, name }) => [id, name]));
    this.#reader.label.hidden = readers.length < 2;
    this.#reader.input.addEventListener("change", () => this.#begin());
    const copy = button({ icon: "copy", t: "copy", className: "plain", onClick: () => void copyText(this.#text, copy) });
    const use = button({ t: "picture_use_words", className: "primary", onClick: () => (onUse(this.#text.trim()), dialog.close()) });
    this.#acts = [copy, use];
    const dialog = openDialog({ t: task === "ocr" ? "picture_text" : "picture_description", className: "reading" }, [
      element("div", { className: "reading-parts" }, [
        this.#map.figure,
        element("div", { className: "reading-words" }, [this.#state, this.#words.element, this.#map.list, this.#fault]),
      ]),
      element("footer", {}, [this.#reader.label, copy, use]),
    ]);
    dialog.addEventListener("close", () => this.#stop());
    this.#begin();
  }

  get #text() {
    return this.#stream?.text ?? "";
  }

  #begin() {
    this.#stop();
    const { task, item, turns } = this.#parts;
    const client_id = (this.#clientId = newClientId());
    this.#stream = null;
    this.#words.replace("");
    this.#words.element.hidden = false;
    this.#map.show([], item.picture);
    this.#tell("picture_reading_now");
    for (const act of this.#acts) act.disabled = true;
    const request = { client_id, task, picture: item.picture.id, language: i18n.code, model: this.#reader.input.value };
    turns
      .start("picture_read", request, (_ack, stream) => {
        if (client_id !== this.#clientId) return;
        this.#stream = stream;
        stream.listen((change) => stream === this.#stream && this.#show(change));
      })
      .catch((error) => client_id === this.#clientId && this.#refuse(error.error ?? { code: "internal", message: "" }));
  }

  /** Nobody waits for it any more. */
  #stop() {
    if (!this.#clientId || this.#stream?.ending) return;
    const which = this.#stream ? { turn: this.#stream.turn } : { client_id: this.#clientId };
    this.#parts.turns.stop(which).catch(() => {});
    this.#clientId = "";
  }

  /** @param {import("./turn_stream.js").Change} change */
  #show(change) {
    if (change.kind === "text") this.#words.append(change.piece);
    else if (change.kind === "reset") this.#words.replace(this.#text);
    else if (change.kind === "end") this.#end(this.#stream?.ending);
  }

  /** @param {any} ending */
  #end({ regions, error }) {
    this.#words.finish();
    const hasText = !!this.#text.trim();
    for (const act of this.#acts) act.disabled = !hasText;
    if (regions?.length) {
      this.#words.element.hidden = true; // the list has the same words
      this.#map.show(regions, this.#parts.item.picture);
    }
    if (error) return this.#refuse(error);
    this.#tell(hasText ? "" : this.#parts.task === "ocr" ? "picture_no_text" : "picture_no_words");
    this.#parts.announcer.say(hasText ? i18n.t("picture_read_done") : (this.#state.textContent ?? ""));
  }

  /** @param {string} word Empty for none. */
  #tell(word) {
    this.#fault.hidden = true;
    this.#state.hidden = !word;
    if (word) i18n.mark(this.#state, { t: word });
  }

  /** @param {import("./types.js").WireError} error */
  #refuse(error) {
    this.#clientId = "";
    this.#tell("");
    this.#fault.textContent = errorWords(error, "picture");
    this.#fault.hidden = false;
  }
}

/** Words as they stand, with a `MarkdownView`'s acts. */
class PlainWords {
  element = element("div", { className: "plain-words", attributes: { dir: "auto" } });

  /** @param {string} text */
  append(text) {
    this.element.append(text);
  }

  /** @param {string} text */
  replace(text) {
    this.element.textContent = text;
  }

  finish() {}
}

/** @param {Parts} parts */
export function openReading(parts) {
  return new Reading(parts);
}
