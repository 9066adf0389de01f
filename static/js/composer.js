// @ts-check
import { i18n } from "./i18n.js";

const WARN_BELOW = 2_000; // letters left

/** The box one writes in: Enter sends, Shift+Enter breaks the line; while an answer comes, its button stops it. */
export class Composer {
  #form;
  #area;
  #send;
  #stop;
  #count;
  #hint;
  #maxChars = 32_000;
  #isBusy = false;
  #draftKey = "";
  #onSend;
  #maySend;

  /**
   * @param {Object} parts
   * @param {HTMLFormElement} parts.form
   * @param {() => boolean} parts.maySend False: something beside the text is not ready, and says so itself.
   * @param {(text: string) => void} parts.onSend
   * @param {() => void} parts.onStop
   */
  constructor({ form, maySend, onSend, onStop }) {
    const find = (/** @type {string} */ selector) => /** @type {any} */ (form.querySelector(selector));
    this.#form = form;
    this.#onSend = onSend;
    this.#maySend = maySend;
    this.#area = /** @type {HTMLTextAreaElement} */ (find("textarea"));
    this.#send = /** @type {HTMLButtonElement} */ (find("#send"));
    this.#stop = /** @type {HTMLButtonElement} */ (find("#stop"));
    this.#count = /** @type {HTMLElement} */ (find("#letters-left"));
    this.#hint = /** @type {HTMLElement} */ (find("#composer-hint"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("click", (event) => {
      if (event.target === form) this.focus();
    });
    this.#stop.addEventListener("click", onStop);
    this.#area.addEventListener("input", () => this.#changed());
    this.#area.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault(); // 229: the Enter that takes a word from an input method's list
      this.#submit();
    });
    this.#changed();
  }

  /** @param {number} letters Code points a message may have. */
  set maxChars(letters) {
    this.#maxChars = letters;
    this.#changed();
  }

  /** @param {boolean} isBusy An answer is being written. */
  set busy(isBusy) {
    if (isBusy === this.#isBusy) return;
    const hadFocus = document.activeElement === this.#send || document.activeElement === this.#stop;
    this.#isBusy = isBusy;
    this.#send.hidden = isBusy;
    this.#stop.hidden = !isBusy;
    this.#hint.hidden = true;
    if (hadFocus) this.offer();
  }

  get text() {
    return this.#area.value.trim();
  }

  focus() {
    this.#area.focus({ preventScroll: true });
  }

  /** Ready to write; on a phone only when asked, as the keyboard would cover the page. */
  offer() {
    if (matchMedia("(hover: hover)").matches) this.focus();
  }

  /** @param {string} text */
  fill(text) {
    this.#area.value = text;
    this.#changed();
    this.focus();
  }

  /** After what is written already. @param {string} text */
  add(text) {
    const { value } = this.#area;
    this.fill(value && !/\s$/.test(value) ? `${value} ${text}` : value + text);
  }

  /** Unsent words stay with their conversation. @param {string | null} conversation */
  belongTo(conversation) {
    const early = this.#draftKey ? "" : this.#area.value; // written while the page was still starting
    this.#draftKey = `parley.draft.${conversation ?? "new"}`;
    this.#area.value = early || (sessionStorage.getItem(this.#draftKey) ?? "");
    this.#changed();
  }

  #submit() {
    const text = this.#area.value.trim();
    if (!text || this.#lettersLeft() < 0) return;
    if (this.#isBusy) return void (this.#hint.hidden = false);
    if (!this.#maySend()) return;
    this.#area.value = "";
    this.#changed();
    this.#onSend(text);
  }

  #changed() {
    const left = this.#lettersLeft();
    this.#count.hidden = left > WARN_BELOW;
    this.#count.classList.toggle("is-over", left < 0);
    if (!this.#count.hidden) i18n.mark(this.#count, { t: left < 0 ? "letters_over" : "letters_left", tArgs: { n: Math.abs(left) } });
    this.#send.disabled = !this.#area.value.trim() || left < 0;
    this.#grow();
    if (!this.#draftKey) return;
    if (this.#area.value) sessionStorage.setItem(this.#draftKey, this.#area.value);
    else sessionStorage.removeItem(this.#draftKey);
  }

  #lettersLeft() {
    const { value } = this.#area;
    return this.#maxChars - (value.length > this.#maxChars - WARN_BELOW ? [...value].length : value.length);
  }

  /** As high as its text, up to what the style sheet allows. */
  #grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#area.style.height = "auto";
    this.#area.style.height = `${this.#area.scrollHeight}px`;
  }
}
