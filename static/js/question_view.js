// @ts-check
import { copyText } from "./clipboard.js";
import { button, element } from "./element.js";
import { Versions } from "./versions.js";

/** @typedef {import("./types.js").Message} Message */

const FOLDED_CHARS = 1_600;
const FOLDED_LINES = 18;

/** What the reader wrote: plain text, to copy, to edit. */
export class QuestionView {
  element;
  #message;
  #text = element("div", { className: "question-text", attributes: { dir: "auto" } });
  #versions;
  #unfold = button({ t: "show_all", className: "quiet unfold", onClick: () => this.#fold(false) });
  #body;
  #onEdit;

  /**
   * @param {Message} message
   * @param {{onEdit: (message: Message, text: string) => boolean, onShow: (id: string) => void}} acts `onEdit`: false when it
   *   cannot be done now, and the words stay where they are.
   */
  constructor(message, { onEdit, onShow }) {
    this.#message = message;
    this.#onEdit = onEdit;
    this.#versions = new Versions(onShow);
    const copy = button({ icon: "copy", tLabel: "copy_message", className: "quiet icon-button", onClick: () => copyText(this.#message.text, copy) });
    const edit = button({ icon: "edit", tLabel: "edit_message", className: "quiet icon-button", onClick: () => this.#edit() });
    this.#body = element("div", { className: "question-body" }, [
      element("div", { className: "bubble" }, [this.#text, this.#unfold]),
      element("div", { className: "actions" }, [this.#versions.element, copy, edit]),
    ]);
    this.element = element("article", { className: "message question" }, [
      element("h2", { className: "off-screen", t: "you_said" }),
      this.#body,
    ]);
  }

  /** @param {Message} message @param {{versions: {index: number, ids: string[]}}} more */
  update(message, { versions }) {
    if (this.#text.textContent !== message.text) {
      this.#text.textContent = message.text;
      this.#fold(message.text.length > FOLDED_CHARS || message.text.split("\n").length > FOLDED_LINES);
    }
    this.#message = message;
    this.#versions.update(versions);
  }

  /** @param {boolean} isFolded */
  #fold(isFolded) {
    this.#text.classList.toggle("folded", isFolded);
    this.#unfold.hidden = !isFolded;
  }

  #edit() {
    const area = element("textarea", { className: "edit-area", tLabel: "edit_message", attributes: { rows: "3" } });
    area.value = this.#message.text;
    const finish = () => {
      form.replaceWith(this.#body);
      this.element.classList.remove("is-edited");
    };
    const send = () => {
      const text = area.value.trim();
      if (!text || text === this.#message.text || this.#onEdit(this.#message, text)) finish();
    };
    const form = element("form", { className: "edit" }, [
      area,
      element("div", { className: "edit-actions" }, [
        element("span", { className: "hint", t: "edit_hint" }),
        button({ t: "cancel", className: "plain", onClick: finish }),
        button({ t: "send", className: "primary", type: "submit" }),
      ]),
    ]);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send();
    });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        finish();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    this.#body.replaceWith(form);
    this.element.classList.add("is-edited");
    area.focus();
  }
}
