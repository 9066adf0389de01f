// @ts-check
import { newClientId } from "./client_id.js";
import { MessageTree } from "./message_tree.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").ConversationInfo} ConversationInfo */
/** @typedef {import("./types.js").WireError} WireError */

const LATEST = Number.MAX_SAFE_INTEGER; // a local message stands after all others until the server gives it a time

/** The conversation on the page: its messages, what runs in it, and every act of the reader. No DOM. */
export class Conversation {
  /** @type {string | null} Null until its first message was sent. */
  id = null;
  title = "";
  /** @type {string | null} Of the `turn_start` or `turn_regenerate` that has no acknowledgement yet. */
  starting = null;
  tree = new MessageTree();
  #version = 0;
  /** @type {string | null} */
  #head = null;
  #api;
  #turns;
  #onChange;
  #onOpened;
  #onEnded;
  /** @type {WeakSet<object>} Streams whose ending is already waited for. */
  #watched = new WeakSet();

  /**
   * @param {Object} parts
   * @param {import("./api.js").Api} parts.api
   * @param {import("./turns.js").Turns} parts.turns
   * @param {() => void} parts.onChange The messages on show are others than before.
   * @param {(id: string) => void} parts.onOpened A new conversation got its id.
   * @param {(message: Message) => void} parts.onEnded An answer is complete, or will never be.
   */
  constructor({ api, turns, onChange, onOpened, onEnded }) {
    this.#api = api;
    this.#turns = turns;
    this.#onChange = onChange;
    this.#onOpened = onOpened;
    this.#onEnded = onEnded;
  }

  /** The answer that is being written on the branch on show. */
  get running() {
    return this.tree.path().findLast((message) => message.status === "running");
  }

  /** An empty page for a conversation that does not exist yet. */
  begin() {
    this.#clear(null);
    this.#onChange();
  }

  /**
   * Show a stored conversation, and follow what runs in it.
   * @param {string} id
   */
  async open(id) {
    this.#clear(id);
    this.#onChange();
    await this.refresh();
  }

  /** Bring what is shown up to date with the store. */
  async refresh() {
    const { id, tree } = this;
    if (!id) return;
    const [info, messages] = await Promise.all([this.#api.conversation(id), this.#api.messages(id)]);
    if (tree !== this.tree) return; // the reader went elsewhere meanwhile
    this.title = info.title;
    this.#version = Math.max(this.#version, info.version);
    tree.mergeStored(messages, id);
    if (info.head !== this.#head && !this.starting) tree.select(info.head);
    this.#head = info.head;
    for (const message of tree.all()) {
      if (message.status === "running" && message.turn && !message.stream) this.#follow(message);
    }
    this.#onChange();
  }

  /**
   * Another device, or this one, changed a conversation.
   * @param {{conversation: string, version: number, deleted?: boolean}} change
   */
  changed({ conversation, version }) {
    if (conversation !== this.id || version <= this.#version) return;
    this.#version = version;
    return this.refresh();
  }

  /**
   * @param {{text: string, model?: string, pictures?: string[], parent?: string | null}} draft `parent` null: before everything else;
   *   absent: after the message on show.
   */
  send({ text, model, pictures = [], parent = this.tree.dropUnsent() }) {
    const question = this.#addLocal({ role: "user", parent, text, pictures });
    const answer = this.#addLocal({ role: "assistant", parent: question.id, text: "", status: "running", model });
    const place = parent ? { parent } : this.id ? { parent: this.id } : {};
    const shown = pictures.length ? { pictures } : {};
    const request = { text, model, ...shown, ...place, ...(this.id ? { conversation: this.id } : {}) };
    return this.#start("turn_start", request, answer);
  }

  /**
   * Say it differently: a new version of `message`, with an answer of its own.
   * @param {Message} message
   * @param {string} text
   * @param {string} [model]
   */
  edit(message, text, model) {
    return this.send({ text, model, pictures: message.pictures, parent: message.parent });
  }

  /**
   * Another answer to the same question. One that never reached the server is sent again.
   * @param {Message} message The answer.
   * @param {string} [model]
   */
  regenerate(message, model) {
    const question = message.parent ? this.tree.get(message.parent) : undefined;
    if (message.id.startsWith("local:") && question) {
      this.tree.remove(message.id);
      this.tree.remove(question.id);
      return this.send({ text: question.text, model, pictures: question.pictures, parent: question.parent });
    }
    const answer = this.#addLocal({ role: "assistant", parent: message.parent, text: "", status: "running", model });
    return this.#start("turn_regenerate", { message: message.id, model }, answer);
  }

  /** Stop the answer that is being written; works before the server has acknowledged its start. */
  async stop() {
    const turn = this.running?.turn;
    if (turn) await this.#turns.stop({ turn });
    else if (this.starting) await this.#turns.stop({ client_id: this.starting });
  }

  /**
   * An answer was read aloud, and heard so far.
   * @param {string} turn
   * @param {number} chars In code points.
   */
  heard(turn, chars) {
    const message = this.tree.all().find((shown) => shown.turn === turn && shown.role === "assistant");
    if (!message) return;
    message.heard_chars = chars;
    this.#onChange();
  }

  /** @param {string} id */
  show(id) {
    this.tree.select(id);
    this.#onChange();
  }

  /** @param {string | null} id */
  #clear(id) {
    this.#turns.detachAll();
    Object.assign(this, { id, title: "", starting: null, tree: new MessageTree() });
    this.#version = 0;
    this.#head = null;
  }

  /** @param {Pick<Message, "role" | "parent" | "text" | "pictures" | "status" | "model">} parts @returns {Message} */
  #addLocal(parts) {
    const id = `local:${newClientId()}`;
    this.tree.merge([{ id, created_ms: LATEST, ...parts }]);
    this.tree.select(id);
    return /** @type {Message} */ (this.tree.get(id));
  }

  /**
   * @param {"turn_start" | "turn_regenerate"} event
   * @param {object} request
   * @param {Message} answer
   */
  async #start(event, request, answer) {
    const { tree } = this;
    const client_id = newClientId();
    this.starting = client_id;
    this.#onChange();
    try {
      await this.#turns.start(event, { client_id, ...request }, (ack, stream) => {
        if (tree !== this.tree) return;
        this.starting = null;
        if (!this.id) {
          this.id = ack.conversation;
          this.#onOpened(ack.conversation);
        }
        Object.assign(answer, { turn: ack.turn, stream });
        const question = answer.parent ?? "";
        tree.adopt(answer.id, ack.message);
        const message = /** @type {Message} */ (tree.get(ack.message));
        if (message.parent && question.startsWith("local:")) tree.adopt(question, message.parent);
        this.#watch(message);
        this.#onChange();
      });
    } catch (error) {
      if (tree !== this.tree) return;
      this.starting = null;
      Object.assign(answer, { status: "failed", error: /** @type {any} */ (error).error ?? { code: "internal" } });
      this.#onEnded(answer);
      this.#onChange();
    }
  }

  /** @param {Message} message */
  #follow(message) {
    message.stream = this.#turns.follow(/** @type {string} */ (message.turn));
    this.#watch(message);
  }

  /**
   * When the turn ends, the message holds what the stream held.
   * @param {Message} message
   */
  #watch(message) {
    const { tree } = this;
    const stream = /** @type {import("./turn_stream.js").TurnStream} */ (message.stream);
    if (this.#watched.has(stream)) return;
    this.#watched.add(stream);
    stream.listen(({ kind }) => {
      if (kind !== "end" || tree !== this.tree) return;
      const { status, reason, usage, charged, error } = stream.ending;
      Object.assign(message, { text: stream.text, reasoning: stream.reasoning, status, reason, usage, charged, error });
      this.#onEnded(message);
      this.#onChange();
      if (!stream.isVerified) this.refresh().catch(() => {});
    });
  }
}
