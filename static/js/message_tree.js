// @ts-check
/** @typedef {import("./types.js").Message} Message */

const ROOT = "";

/** The messages of one conversation with all their versions, and the branch that is on show. Pure. */
export class MessageTree {
  /** @type {Map<string, Message>} */
  #messages = new Map();
  /** @type {Map<string, string[]>} Parent id (`ROOT` for none) to its children, oldest first. */
  #children = new Map();
  /** @type {Map<string, string>} Parent id to the child on show. */
  #choices = new Map();

  /**
   * Add messages, or bring known ones up to date. The page's own fields (`key`, `stream`, `error`) survive.
   * @param {Message[]} messages
   * @param {string} [conversation] Its own id, which some messages name as parent of a first message.
   */
  merge(messages, conversation) {
    for (const message of messages) {
      const known = this.#messages.get(message.id);
      const parent = message.parent === conversation ? null : message.parent;
      const merged = known ? Object.assign(known, message, { parent }) : { key: message.id, ...message, parent };
      this.#messages.set(merged.id, merged);
    }
    this.#index();
  }

  /**
   * The same with what the store has, which may be a little behind the streams this page follows: what was seen of
   * an answer stays until its turn ends, and a question sent from here gets the id under which it was stored.
   * @param {Message[]} messages
   * @param {string} conversation
   */
  mergeStored(messages, conversation) {
    for (const stored of messages) {
      const shown = this.#messages.get(stored.id);
      if (!shown?.stream) continue;
      if (shown.parent?.startsWith("local:") && stored.parent) this.adopt(shown.parent, stored.parent);
      if (!shown.stream.ending || (stored.status === "running" && shown.stream.isVerified)) {
        Object.assign(stored, { status: shown.status, text: shown.text, reasoning: shown.reasoning });
      }
    }
    this.merge(messages, conversation);
  }

  /**
   * The id to go on after. A question at the end that never reached the server makes room for the next one.
   * @returns {string | null}
   */
  dropUnsent() {
    const leaf = this.leaf;
    if (!leaf?.id.startsWith("local:")) return leaf?.id ?? null;
    const question = leaf.parent ? this.#messages.get(leaf.parent) : undefined;
    this.remove(leaf.id);
    if (!question?.id.startsWith("local:")) return question?.id ?? null;
    this.remove(question.id);
    return question.parent;
  }

  /** @param {string} id */
  get(id) {
    return this.#messages.get(id);
  }

  /** Every message, of all branches. */
  all() {
    return [...this.#messages.values()];
  }

  /** @param {string} id */
  remove(id) {
    this.#messages.delete(id);
    this.#index();
  }

  /**
   * A local message got its id. When the real one is already here, it takes the local one's place on the page.
   * @param {string} localId
   * @param {string} id
   */
  adopt(localId, id) {
    const local = this.#messages.get(localId);
    if (!local || localId === id) return;
    const real = this.#messages.get(id);
    this.#messages.delete(localId);
    this.#messages.set(id, real ? Object.assign(real, { key: local.key, stream: local.stream ?? real.stream }) : local);
    local.id = id;
    for (const message of this.#messages.values()) {
      if (message.parent === localId) message.parent = id;
    }
    for (const [parent, child] of this.#choices) {
      if (child === localId) this.#choices.set(parent, id);
    }
    const choice = this.#choices.get(localId);
    if (choice) this.#choices.set(id, choice);
    this.#index();
  }

  /** The branch on show, oldest first. */
  path() {
    const path = [];
    let parent = ROOT;
    for (;;) {
      const children = this.#children.get(parent) ?? [];
      const chosen = this.#choices.get(parent);
      const next = chosen && children.includes(chosen) ? chosen : children[children.length - 1];
      const message = next === undefined ? undefined : this.#messages.get(next);
      if (!message) return path;
      path.push(message);
      parent = message.id;
    }
  }

  /** The newest message on show. */
  get leaf() {
    return this.path().at(-1);
  }

  /**
   * Show the branch that holds `id`.
   * @param {string | null} id
   */
  select(id) {
    let message = id ? this.#messages.get(id) : undefined;
    for (let steps = this.#messages.size; message && steps > 0; steps -= 1) {
      this.#choices.set(message.parent ?? ROOT, message.id);
      message = message.parent ? this.#messages.get(message.parent) : undefined;
    }
  }

  /**
   * The versions a message is one of: `{index, ids}`, `index` counted from 0.
   * @param {Message} message
   */
  versions(message) {
    const ids = this.#children.get(this.#parentOf(message)) ?? [message.id];
    return { index: ids.indexOf(message.id), ids };
  }

  /** @param {Message} message */
  #parentOf(message) {
    return message.parent && this.#messages.has(message.parent) ? message.parent : ROOT;
  }

  #index() {
    this.#children.clear();
    const inOrder = [...this.#messages.values()].sort(
      (a, b) => a.created_ms - b.created_ms || Number(a.id > b.id) - Number(a.id < b.id),
    );
    for (const message of inOrder) {
      const parent = this.#parentOf(message);
      const children = this.#children.get(parent);
      if (children) children.push(message.id);
      else this.#children.set(parent, [message.id]);
    }
  }
}
