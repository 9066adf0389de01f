// @ts-check
import { AnswerView } from "./answer_view.js";
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { QuestionView } from "./question_view.js";
import { ScrollKeeper } from "./scroll_keeper.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./conversation.js").Conversation} Conversation */

const FIRST_DRAW_MS = 80; // for what is in sight when a conversation opens; the rest follows frame by frame
const SUGGESTIONS = ["suggest_explain", "suggest_code", "suggest_formula", "suggest_table"];

/** The messages on show, brought in line with the conversation's state whenever that changes. */
export class ConversationView {
  #list;
  #empty;
  #conversation;
  #parts;
  /** @type {Map<string, QuestionView | AnswerView>} */
  #views = new Map();
  #scroll;
  /** @type {object | null} The tree whose messages were shown last. */
  #tree = null;

  /**
   * @param {Object} parts
   * @param {HTMLElement} parts.scroller
   * @param {HTMLElement} parts.list
   * @param {HTMLElement} parts.empty
   * @param {HTMLButtonElement} parts.toEnd
   * @param {Conversation} parts.conversation
   * @param {import("./markdown_view.js").Tools} parts.tools
   * @param {() => string | undefined} parts.model The model picked for the next answer.
   * @param {(picture: string) => string} parts.address Of a stored picture.
   * @param {(text: string) => void} parts.onSuggestion
   */
  constructor(parts) {
    this.#parts = parts;
    this.#list = parts.list;
    this.#empty = parts.empty;
    this.#conversation = parts.conversation;
    this.#scroll = new ScrollKeeper({
      scroller: parts.scroller,
      content: parts.list,
      onChange: (isPinned) => (parts.toEnd.hidden = isPinned),
    });
    parts.toEnd.addEventListener("click", () => this.#scroll.pin());
    this.#suggest();
  }

  /** The reader sent something: show it. */
  follow() {
    this.#scroll.pin();
  }

  update() {
    const { tree, id } = this.#conversation;
    const isAnother = tree !== this.#tree;
    this.#tree = tree;
    const path = tree.path();
    const kept = new Set(path.map((message) => message.key ?? message.id));
    for (const [key, view] of this.#views) {
      if (isAnother || !kept.has(key)) this.#drop(key, view);
    }
    path.forEach((message, index) => this.#place(message, index, path.length));
    this.#empty.hidden = path.length > 0 || id !== null;
    document.body.classList.toggle("is-empty", !this.#empty.hidden);
    if (isAnother) this.#scroll.pin();
  }

  /** Draw what is in sight before the browser does, from the end upward. */
  drawNow() {
    const deadline = performance.now() + FIRST_DRAW_MS;
    for (const view of [...this.#views.values()].reverse()) {
      if (performance.now() > deadline) break;
      if (view instanceof AnswerView) view.draw(deadline);
    }
    this.#scroll.pin();
  }

  /** @param {Message} message @param {number} index @param {number} count */
  #place(message, index, count) {
    const key = message.key ?? message.id;
    let view = this.#views.get(key);
    if (!view) {
      view = this.#make(message);
      this.#views.set(key, view);
    }
    if (this.#list.children[index] !== view.element) this.#list.insertBefore(view.element, this.#list.children[index] ?? null);
    view.update(message, { versions: this.#conversation.tree.versions(message), isLast: index === count - 1 });
  }

  /** @param {Message} message */
  #make(message) {
    const conversation = this.#conversation;
    const { model, tools, address } = this.#parts;
    const onShow = (/** @type {string} */ id) => conversation.show(id);
    if (message.role === "user") {
      const onEdit = (/** @type {Message} */ edited, /** @type {string} */ text) => {
        if (conversation.running) return false;
        void conversation.edit(edited, text, model());
        this.#scroll.pin();
        return true;
      };
      return new QuestionView(message, { onEdit, onShow, address });
    }
    const onRegenerate = (/** @type {Message} */ answer) => {
      if (!conversation.running) void conversation.regenerate(answer, model());
    };
    return new AnswerView(message, { tools, onRegenerate, onShow });
  }

  /** @param {string} key @param {QuestionView | AnswerView} view */
  #drop(key, view) {
    if (view instanceof AnswerView) view.close();
    view.element.remove();
    this.#views.delete(key);
  }

  #suggest() {
    const chips = SUGGESTIONS.map((t) =>
      button({ t, className: "chip", onClick: () => this.#parts.onSuggestion(i18n.t(`${t}_prompt`)) }),
    );
    this.#empty.append(element("div", { className: "chips" }, chips));
  }
}
