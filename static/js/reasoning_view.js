// @ts-check
import { element } from "./element.js";
import { i18n } from "./i18n.js";

const CHUNK_CHARS = 4_000;

/** What the model thought before it answered: plain text, folded away until someone wants it. */
export class ReasoningView {
  #label = element("span", { t: "reasoning" });
  #text = element("div", { className: "reasoning-text", tabIndex: 0 });
  element = element("details", { className: "reasoning", hidden: true }, [
    element("summary", {}, [this.#label]),
    this.#text,
  ]);
  #shown = "";
  #startedAt = 0;
  #isDone = false;

  /** @param {string} piece */
  append(piece) {
    if (!this.#shown) {
      this.#startedAt = performance.now();
      this.#isDone = false;
      i18n.mark(this.#label, { t: "reasoning_now" });
    }
    this.#shown += piece;
    this.element.hidden = false;
    let chunk = this.#text.lastElementChild;
    if (!chunk || (chunk.textContent ?? "").length > CHUNK_CHARS) chunk = this.#text.appendChild(element("span"));
    chunk.append(piece);
  }

  /** @param {string} text */
  replace(text) {
    if (text === this.#shown) return;
    this.#text.replaceChildren();
    this.#shown = "";
    this.element.hidden = true;
    if (text) this.append(text);
  }

  /** Thinking is over. */
  finish() {
    if (this.#isDone || !this.#shown) return;
    this.#isDone = true;
    const seconds = Math.round((performance.now() - this.#startedAt) / 1_000);
    if (seconds > 0) i18n.mark(this.#label, { t: "reasoning_for", tArgs: { n: seconds } });
    else i18n.mark(this.#label, { t: "reasoning" });
  }
}
