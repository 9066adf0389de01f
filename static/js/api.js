// @ts-check
import { RequestError } from "./requests.js";

/** @typedef {import("./types.js").ConversationInfo} ConversationInfo */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").User} User */
/** @typedef {import("./types.js").Quota} Quota */

/** The server's HTTP routes (`docs/http.md`). Every failure is a `RequestError`. */
export class Api {
  #base;

  /** @param {string} base Where the server stands, ending in a slash. */
  constructor(base) {
    this.#base = base;
  }

  /** @returns {Promise<{user: User, quota: Quota}>} */
  me() {
    return this.#send("GET", "v1/auth/me");
  }

  guest() {
    return this.#send("POST", "v1/auth/guest", {});
  }

  /** @param {{username: string, password: string}} who */
  login(who) {
    return this.#send("POST", "v1/auth/login", who);
  }

  /** @param {{username: string, password: string}} who */
  register(who) {
    return this.#send("POST", "v1/auth/register", who);
  }

  logout() {
    return this.#send("POST", "v1/auth/logout", {});
  }

  /** @param {{old: string, new: string}} passwords */
  changePassword(passwords) {
    return this.#send("POST", "v1/auth/password", passwords);
  }

  /** @param {{ticket: string, password: string}} request */
  resetPassword(request) {
    return this.#send("POST", "v1/auth/password/reset", request);
  }

  /** @returns {Promise<{tokens: {id: string, name: string, created_ms: number, last_used_ms: number | null}[]}>} */
  tokens() {
    return this.#send("GET", "v1/tokens");
  }

  /** @param {string} name @returns {Promise<{id: string, name: string, token: string}>} */
  createToken(name) {
    return this.#send("POST", "v1/tokens", { name });
  }

  /** @param {string} id */
  revokeToken(id) {
    return this.#send("DELETE", `v1/tokens/${encodeURIComponent(id)}`);
  }

  /**
   * @param {{query?: string, before?: string}} page
   * @returns {Promise<{conversations: ConversationInfo[], next: string | null}>}
   */
  conversations({ query = "", before = "" } = {}) {
    const parameters = new URLSearchParams({ limit: "40" });
    if (query) parameters.set("q", query);
    if (before) parameters.set("before", before);
    return this.#send("GET", `v1/conversations?${parameters}`);
  }

  /** @param {string} id @returns {Promise<ConversationInfo>} */
  conversation(id) {
    return this.#send("GET", `v1/conversations/${encodeURIComponent(id)}`);
  }

  /** @param {string} id @param {string} title @returns {Promise<ConversationInfo>} */
  rename(id, title) {
    return this.#send("PATCH", `v1/conversations/${encodeURIComponent(id)}`, { title });
  }

  /** @param {string} id */
  delete(id) {
    return this.#send("DELETE", `v1/conversations/${encodeURIComponent(id)}`);
  }

  /**
   * Every message of a conversation, oldest first, all branches.
   * @param {string} id
   * @returns {Promise<Message[]>}
   */
  async messages(id) {
    /** @type {Message[]} */
    const messages = [];
    for (let after = ""; ; ) {
      const parameters = new URLSearchParams({ limit: "200", ...(after && { after }) });
      const page = await this.#send("GET", `v1/conversations/${encodeURIComponent(id)}/messages?${parameters}`);
      messages.push(...page.messages);
      if (!page.next) return messages;
      after = page.next;
    }
  }

  /** @param {string} id @param {"markdown" | "json"} format */
  exportAddress(id, format) {
    return `${this.#base}v1/conversations/${encodeURIComponent(id)}/export?format=${format}`;
  }

  /** @param {string} id */
  pictureAddress(id) {
    return `${this.#base}v1/pictures/${encodeURIComponent(id)}`;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async #send(method, path, body) {
    let response;
    try {
      response = await fetch(this.#base + path, {
        method,
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
        credentials: "same-origin",
      });
    } catch {
      throw new RequestError({ code: "unreachable", message: "The server could not be reached.", retryable: true });
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    throw new RequestError(answer.error ?? { code: codeOf(response.status), message: response.statusText });
  }
}

/** @param {number} status Of an answer that did not come from the server itself, but from a proxy before it. */
function codeOf(status) {
  return status === 413 ? "too_large" : status === 429 ? "rate_limited" : status >= 502 ? "server_busy" : "internal";
}
