// @ts-check
import { i18n } from "./i18n.js";

const READ_ALOUD = 400; // letters; a longer answer is announced, and read where it stands

/** Tells a screen reader what happened, at boundaries only: an answer begins, ends, fails. Never a token. */
export class Announcer {
  #region;

  /** @param {HTMLElement} region Has `aria-live="polite"`. */
  constructor(region) {
    this.#region = region;
  }

  /** @param {string} words */
  say(words) {
    this.#region.textContent = "";
    requestAnimationFrame(() => (this.#region.textContent = words)); // the same words twice are two events
  }

  /** @param {import("./types.js").Message} message */
  ended({ status, text }) {
    if (status === "failed") this.say(i18n.t("announce_failed"));
    else if (status === "stopped") this.say(i18n.t("announce_stopped"));
    else this.say(text.length <= READ_ALOUD ? text : i18n.t("announce_done"));
  }
}
