// @ts-check
import { i18n } from "./i18n.js";
import { openSettings } from "./settings_dialog.js";
import { openSignIn, signedOut } from "./sign_in.js";

/** @typedef {import("./types.js").User} User */
/** @typedef {import("./types.js").Quota} Quota */

/** Who uses the page: comes in with the browser's cookie, else as a guest where that is allowed, else signs in. */
export class Person {
  #api;
  #button;
  #name;
  #left;
  /** @type {User} */
  #user = { id: "", name: "", guest: true };
  /** @type {Quota} */
  #quota = { tokens: 0, pictures: 0 };
  /** @type {HTMLDialogElement | null} */
  #asked = null;

  /**
   * @param {Object} parts
   * @param {import("./api.js").Api} parts.api
   * @param {import("./notices.js").Notices} parts.notices
   * @param {HTMLButtonElement} parts.button Shows the name and what is left, opens the settings.
   */
  constructor({ api, notices, button }) {
    this.#api = api;
    this.#button = button;
    this.#name = /** @type {HTMLElement} */ (button.querySelector(".person-name"));
    this.#left = /** @type {HTMLElement} */ (button.querySelector(".person-quota"));
    button.addEventListener("click", () => openSettings({ api, notices, user: this.#user, quota: this.#quota }));
  }

  /**
   * @returns {Promise<boolean>} False when the reader was asked to sign in.
   */
  async enter() {
    try {
      const { user, quota } = await this.#api.me();
      this.user = user;
      this.quota = quota;
      return true;
    } catch (error) {
      if (/** @type {any} */ (error).code !== "unauthenticated") throw error;
    }
    if (signedOut.is) return this.#ask(async () => void (await this.#api.guest()));
    try {
      this.user = (await this.#api.guest()).user;
      return true;
    } catch (error) {
      const { code } = /** @type {any} */ (error);
      if (!["unauthenticated", "forbidden", "not_found"].includes(code)) throw error;
      return this.#ask(null);
    }
  }

  get user() {
    return this.#user;
  }

  /** @param {User} user */
  set user(user) {
    this.#user = user;
    this.#button.hidden = false;
    if (user.guest) i18n.mark(this.#name, { t: "guest" });
    else {
      delete this.#name.dataset.t;
      this.#name.textContent = user.name;
    }
  }

  /** @param {Quota} quota */
  set quota(quota) {
    this.#quota = quota;
    i18n.mark(this.#left, { t: "tokens_left", tArgs: { n: i18n.shortNumber(quota.tokens) } });
  }

  /** @param {(() => Promise<void>) | null} asGuest */
  #ask(asGuest) {
    if (!this.#asked?.open) this.#asked = openSignIn({ api: this.#api, isRequired: true, asGuest });
    return false;
  }
}
