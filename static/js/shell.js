// @ts-check

const QUIET_MS = 3_000; // a connection that is back by then was never missed

/** The frame around a conversation: the drawer, the title, the keys, and whether the server is there. */
export class Shell {
  #title = /** @type {HTMLElement} */ (document.getElementById("title"));
  #titleMenu = /** @type {HTMLButtonElement} */ (document.getElementById("title-menu"));
  #offline = /** @type {HTMLElement} */ (document.getElementById("offline"));
  #search = /** @type {HTMLInputElement} */ (document.getElementById("search"));
  /** @type {any} */
  #timer = null;
  #acts;

  /**
   * @param {Object} acts
   * @param {() => void} acts.onNew
   * @param {() => void} acts.onStop
   * @param {() => void} acts.onWrite
   * @param {() => void} acts.onWake
   * @param {(anchor: HTMLElement) => void} acts.onMenu
   */
  constructor(acts) {
    this.#acts = acts;
    for (const id of ["new-chat", "new-chat-top"]) document.getElementById(id)?.addEventListener("click", acts.onNew);
    for (const id of ["show-drawer", "hide-drawer"]) document.getElementById(id)?.addEventListener("click", () => this.#toggleDrawer());
    document.getElementById("conversations")?.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("a")) this.closeDrawer();
    });
    document.getElementById("veil")?.addEventListener("click", () => this.closeDrawer());
    this.#titleMenu.addEventListener("click", () => acts.onMenu(this.#titleMenu));
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && acts.onWake());
    addEventListener("online", acts.onWake);
    addEventListener("pageshow", (event) => event.persisted && acts.onWake());
  }

  /** @param {string} title Empty for a new conversation. */
  set title(title) {
    this.#title.textContent = title;
    this.#titleMenu.hidden = !title;
    document.title = title ? `${title} · Parley` : "Parley";
  }

  /** @param {boolean} isUp */
  online(isUp) {
    clearTimeout(this.#timer);
    if (isUp) this.#offline.hidden = true;
    else this.#timer = setTimeout(() => (this.#offline.hidden = false), QUIET_MS);
  }

  /** On a phone the drawer lies over the page; on a wide screen it stays as the reader left it. */
  closeDrawer() {
    document.body.classList.remove("is-drawer-open");
  }

  #toggleDrawer() {
    const isPhone = matchMedia("(max-width: 48rem)").matches;
    document.body.classList.toggle(isPhone ? "is-drawer-open" : "is-drawer-hidden");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, [contenteditable]");
    const key = event.key.toLowerCase();
    if (isCommand && key === "k") this.#find();
    else if (isCommand && event.shiftKey && key === "o") this.#acts.onNew();
    else if (key === "escape") {
      if (document.body.classList.contains("is-drawer-open")) this.closeDrawer();
      else this.#acts.onStop();
    } else if (key === "/" && !isTyping && !isCommand) this.#acts.onWrite();
    else return;
    event.preventDefault();
  }

  #find() {
    document.body.classList.remove("is-drawer-hidden");
    if (matchMedia("(max-width: 48rem)").matches) document.body.classList.add("is-drawer-open");
    this.#search.focus();
    this.#search.select();
  }
}
