// @ts-check
import { AnswerStatus } from "./answer_status.js";
import { copyText } from "./clipboard.js";
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { MarkdownView } from "./markdown_view.js";
import { ReasoningView } from "./reasoning_view.js";
import { Unheard } from "./unheard.js";
import { Versions } from "./versions.js";

/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./turn_stream.js").TurnStream} TurnStream */

/** An answer: reasoning folded away, the text as it comes, what is going on, and what can be done with it. */
export class AnswerView {
  element;
  #message;
  #tools;
  #body;
  #unheard;
  /** What of which text is marked. @type {string} */
  #marked = "";
  #reasoning = new ReasoningView();
  #status;
  #versions;
  #actions;
  #details = element("span", { className: "details" });
  /** @type {TurnStream | null} */
  #stream = null;
  /** @type {string | null} Null while pieces come from the stream. */
  #shown = "";

  /**
   * @param {Message} message
   * @param {{tools: import("./markdown_view.js").Tools, onRegenerate: (message: Message) => void, onShow: (id: string) => void}} parts
   */
  constructor(message, { tools, onRegenerate, onShow }) {
    this.#message = message;
    this.#tools = tools;
    this.#body = new MarkdownView(tools);
    this.#unheard = new Unheard(this.#body.element);
    this.#versions = new Versions(onShow);
    this.#status = new AnswerStatus(() => onRegenerate(this.#message));
    const copy = button({ icon: "copy", tLabel: "copy_answer", className: "quiet icon-button", onClick: () => copyText(this.#message.text, copy) });
    const again = button({ icon: "again", tLabel: "regenerate", className: "quiet icon-button", onClick: () => onRegenerate(this.#message) });
    this.#actions = element("div", { className: "actions" }, [this.#versions.element, copy, again, this.#details]);
    this.element = element("article", { className: "message answer", attributes: { dir: "auto" } }, [
      element("h2", { className: "off-screen", t: "answer_said" }),
      this.#reasoning.element,
      this.#body.element,
      this.#status.element,
      this.#actions,
    ]);
  }

  /** @param {Message} message @param {{versions: {index: number, ids: string[]}, isLast: boolean}} more */
  update(message, { versions, isLast }) {
    this.#message = message;
    if (message.stream && message.stream !== this.#stream) this.#follow(message.stream);
    if (message.status !== "running") this.#settle(message);
    const isLive = message.status === "running";
    this.element.classList.toggle("is-live", isLive);
    this.element.classList.toggle("is-last", isLast);
    this.element.setAttribute("aria-busy", String(isLive));
    this.#status.update(message);
    this.#versions.update(versions);
    this.#actions.hidden = isLive;
    this.#details.textContent = this.#describe(message);
    this.#mark(message, isLive);
  }

  /** Draw some of the text at once. @param {number} deadline */
  draw(deadline) {
    this.#body.draw(deadline);
  }

  /** It leaves the page. */
  close() {
    this.#status.close();
    this.#unheard.clear();
    this.#unlisten();
  }

  #unlisten = () => {};

  /** @param {TurnStream} stream */
  #follow(stream) {
    this.#unlisten();
    this.#stream = stream;
    this.#shown = null;
    this.#body.replace(stream.text);
    this.#reasoning.replace(stream.reasoning);
    this.#unlisten = stream.listen((change) => {
      if (change.kind === "text") {
        this.#body.append(change.piece);
        this.#reasoning.finish();
      } else if (change.kind === "reasoning") this.#reasoning.append(change.piece);
      else if (change.kind === "reset") {
        this.#body.replace(stream.text);
        this.#reasoning.replace(stream.reasoning);
      }
      this.#status.tell(change);
    });
  }

  /** It is complete: show exactly what the message holds. @param {Message} message */
  #settle(message) {
    const shown = this.#shown ?? this.#stream?.text;
    if (shown !== message.text) this.#body.replace(message.text);
    if (this.#shown === null || shown !== message.text) this.#body.finish();
    this.#shown = message.text;
    this.#reasoning.replace(message.reasoning ?? "");
    this.#reasoning.finish();
  }

  /** Grey what was not heard, as soon as it is drawn. @param {Message} message @param {boolean} isLive */
  #mark({ text, heard_chars: heard }, isLive) {
    const marked = isLive || heard === undefined ? "" : `${heard} of ${text}`;
    if (marked === this.#marked) return;
    this.#marked = marked;
    this.#tools.frames.add((deadline) => {
      const isDrawn = !this.#body.draw(deadline);
      if (isDrawn) this.#unheard.mark(text, this.#marked ? heard : undefined);
      return !isDrawn;
    });
  }

  /** @param {Message} message */
  #describe({ model, usage, heard_chars: heard }) {
    const tokens = usage?.completion_tokens;
    const parts = [model, tokens ? i18n.t("tokens_used", { n: i18n.number(tokens) }) : "", heard === undefined ? "" : i18n.t("speech_unheard")];
    return parts.filter(Boolean).join(" · ");
  }
}
