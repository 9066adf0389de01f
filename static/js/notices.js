// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";

const SHOWN_MS = 6_000;

/** Short notes at the edge of the page: a refusal and what to do, or that something was done. */
export class Notices {
  #host;

  /** @param {HTMLElement} host */
  constructor(host) {
    this.#host = host;
  }

  /** @param {string} t A word of `i18n`. @param {"status" | "alert"} [role] */
  tell(t, role = "status") {
    this.#show(element("span", { t }), role);
  }

  /**
   * @param {any} error A `RequestError`; anything else is a fault of the page and is left to the console.
   * @param {string} [about] What it concerns, where there are words of its own.
   */
  refuse(error, about) {
    if (!error?.error) throw error;
    this.#show(element("span", { text: errorWords(error.error, about) }), "alert");
  }

  /** @param {HTMLElement} words @param {"status" | "alert"} role */
  #show(words, role) {
    for (const shown of this.#host.children) if (shown.textContent === words.textContent) shown.remove();
    const note = element("div", { className: `notice is-${role}`, attributes: { role } }, [words]);
    note.append(button({ icon: "close", tLabel: "close", className: "quiet icon-button", onClick: () => note.remove() }));
    this.#host.append(note);
    setTimeout(() => note.remove(), SHOWN_MS);
  }
}

/**
 * An error in the reader's language: what happened, and what to do next.
 * @param {import("./types.js").WireError} error
 * @param {string} [about] `picture` or `voice`: words of its own come first.
 */
export function errorWords({ code, message, retry_after_s }, about) {
  const key = about && i18n.has(`error_${about}_${code}`) ? `error_${about}_${code}` : `error_${code}`;
  if (!i18n.has(key)) return message;
  const next = retry_after_s ? i18n.t("error_wait_next", { n: Math.ceil(retry_after_s) }) : i18n.has(`${key}_next`) ? i18n.t(`${key}_next`) : "";
  return `${i18n.t(key)} ${next}`.trim();
}
