// @ts-check
import { copyText } from "./clipboard.js";
import { openDialog } from "./dialogs.js";
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
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
  #pictures = element("div", { className: "question-pictures", hidden: true });
  #unfold = button({ t: "show_all", className: "quiet unfold", onClick: () => this.#fold(false) });
  #body;
  #onEdit;
  #address;

  /**
   * @param {Message} message
   * @param {{onEdit: (message: Message, text: string) => boolean, onShow: (id: string) => void, address: (picture: string) => string}} parts
   *   `onEdit`: false when it cannot be done now, and the words stay where they are.
   */
  constructor(message, { onEdit, onShow, address }) {
    this.#message = message;
    this.#onEdit = onEdit;
    this.#address = address;
    this.#versions = new Versions(onShow);
    const copy = button({ icon: "copy", tLabel: "copy_message", className: "quiet icon-button", onClick: () => copyText(this.#message.text, copy) });
    const edit = button({ icon: "edit", tLabel: "edit_message", className: "quiet icon-button", onClick: () => this.#edit() });
    this.#body = element("div", { className: "question-body" }, [
      this.#pictures,
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
    const ids = message.pictures ?? [];
    if (this.#pictures.dataset.ids !== ids.join(" ")) this.#show(ids);
    this.#message = message;
    this.#versions.update(versions);
  }

  /** @param {string[]} ids */
  #show(ids) {
    this.#pictures.dataset.ids = ids.join(" ");
    this.#pictures.hidden = !ids.length;
    const nodes = ids.map((id) => {
      const attributes = { src: this.#address(id), alt: "" };
      const show = () => openDialog({ t: "picture_of_question", className: "lightbox" }, [
          element("div", {}, [element("img", { attributes: { src: attributes.src, alt: i18n.t("picture_of_question") } })]),
        ]);
      const node = button({ tLabel: "picture_enlarge", attributes: { "aria-haspopup": "dialog" }, onClick: show });
      const image = element("img", { attributes: { ...attributes, loading: "lazy" } });
      image.addEventListener("error", () => node.remove()); // its owner has deleted it
      node.append(image);
      return node;
    });
    this.#pictures.replaceChildren(...nodes);
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
