// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { RateMeter } from "./rate_meter.js";

/** @typedef {import("./types.js").Message} Message */

const TICK_MS = 400;

/** The line below an answer: what is going on while it comes, or what went wrong and what to do. */
export class AnswerStatus {
  #text = element("span", { className: "status-text" });
  #rate = element("span", { className: "status-rate" });
  #live = element("div", { className: "status" }, [
    element("span", { className: "pulse", attributes: { "aria-hidden": "true" } }),
    this.#text,
    this.#rate,
  ]);
  #title = element("strong");
  #next = element("span");
  #retry;
  #fault;
  element;
  #meter = new RateMeter();
  /** @type {any} */
  #ticker = null;
  #state = "";

  /** @param {() => void} onRetry */
  constructor(onRetry) {
    this.#retry = button({ t: "try_again", icon: "again", className: "plain", onClick: onRetry });
    this.#fault = element("div", { className: "fault" }, [element("div", {}, [this.#title, this.#next]), this.#retry]);
    this.element = element("div", { className: "answer-status" }, [this.#live, this.#fault]);
  }

  /** @param {import("./turn_stream.js").Change} change */
  tell(change) {
    if (change.kind === "text" || change.kind === "reasoning") this.#meter.add(change.count, performance.now());
  }

  /** @param {Message} message */
  update(message) {
    const isLive = message.status === "running";
    this.#live.hidden = !isLive;
    if (isLive && !this.#ticker) this.#ticker = setInterval(() => this.#tick(message), TICK_MS);
    if (!isLive) this.close();
    this.#tick(message);
    this.#explain(message);
  }

  close() {
    clearInterval(this.#ticker);
    this.#ticker = null;
  }

  /** @param {Message} message */
  #tick({ status, stream }) {
    if (status !== "running") return;
    const state = stream ? stream.state : "sending";
    if (state !== this.#state) i18n.mark(this.#text, { t: `state_${state}` });
    this.#state = state;
    const rate = this.#meter.rate(performance.now());
    this.#rate.textContent = rate > 0 ? i18n.t("pieces_per_second", { n: rate }) : "";
  }

  /** @param {Message} message */
  #explain({ status, reason, error }) {
    const key = faultKey(status, reason, error);
    this.#fault.hidden = !key;
    if (!key) return;
    i18n.mark(this.#title, { t: key });
    const hasNext = i18n.has(`${key}_next`);
    this.#next.hidden = !hasNext;
    const seconds = Math.ceil(error?.retry_after_s ?? 0);
    if (hasNext) i18n.mark(this.#next, { t: seconds ? "error_wait_next" : `${key}_next`, tArgs: { n: seconds } });
    this.#fault.classList.toggle("is-mild", !key.startsWith("error_"));
    this.#retry.hidden = status === "stopped" || status === "done";
  }
}

/**
 * The words for an ending; empty for a good one.
 * @param {string} [status]
 * @param {string} [reason]
 * @param {import("./types.js").WireError} [error]
 */
function faultKey(status, reason, error) {
  if (status === "done") return reason === "length" || reason === "content_filter" ? `ended_${reason}` : "";
  if (reason === "quota") return "error_quota_exceeded";
  if (status === "stopped") return "ended_stopped";
  if (status === "interrupted") return "error_interrupted";
  if (status !== "failed") return "";
  if (error?.code === "invalid_request" && error.field === "model") return "error_unseen";
  return error && i18n.has(`error_${error.code}`) ? `error_${error.code}` : "error_failed";
}
