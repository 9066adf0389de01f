// @ts-check
import { countCodePoints, takeCodePoints } from "./code_points.js";
import { sha256 } from "./sha256.js";

/**
 * @typedef {{kind: "text" | "reasoning", piece: string, count: number} | {kind: "partial" | "answer" | "state" | "reset" | "end"}} Change
 *   What a view has to do: add a piece, show another state or caption, draw everything anew, or close.
 * @typedef {{turn: string, epoch: number, after: number}} Position
 */

const MAX_REPLAYS = 2; // a text that is wrong after two whole replays is fetched from the store instead

/**
 * One turn as a viewer keeps it: applies each entry once and in order, asks for what is missing, checks the ending.
 * Pure: no DOM, no socket, no clock.
 */
export class TurnStream {
  epoch = 1;
  /** The offset up to which everything has been applied. */
  last = 0;
  text = "";
  reasoning = "";
  /** Of speech: what the current sentence sounds like so far. A final piece of `text` takes its place. */
  partial = "";
  /** The turn that answers a transcript. */
  answer = "";
  state = "queued";
  /** The share done, 0 to 1; null where the server does not know. @type {number | null} */
  progress = null;
  /** @type {any} The `turn_end` entry, once its length and hash were found right (or given up on). */
  ending = null;
  /** False when the text still differed after every replay; the store has the right one. */
  isVerified = true;

  /** @type {(position: Position) => void} */
  #attach;
  /** @type {Set<(change: Change) => void>} */
  #listeners = new Set();
  #digest;
  #isAttaching = false;
  #startsOver = false;
  #replays = 0;
  /** @type {{last: number, length: number}[]} Where each piece of reasoning ended, for a rewind into it. */
  #marks = [];

  /**
   * @param {Object} parts
   * @param {string} parts.turn
   * @param {(position: Position) => void} parts.attach Sends `turn_attach`; its acknowledgement goes to `attached`.
   * @param {(text: string) => Promise<string>} [parts.digest]
   */
  constructor({ turn, attach, digest = sha256 }) {
    this.turn = turn;
    this.#attach = attach;
    this.#digest = digest;
  }

  /**
   * @param {(change: Change) => void} listener
   * @returns {() => void} Ends it.
   */
  listen(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Ask for everything after what is here. Called for a gap, and by the owner after a lost connection. */
  attach() {
    if (this.ending || this.#isAttaching) return;
    this.#isAttaching = true;
    const after = this.#startsOver ? 0 : this.last;
    this.#attach({ turn: this.turn, epoch: this.epoch, after });
  }

  /**
   * The acknowledgement of `turn_attach`. Must be called before any entry that came after it.
   * @param {{epoch: number, from: number, text?: string}} ack
   */
  attached({ epoch, from, text }) {
    this.#isAttaching = false;
    if (text !== undefined) {
      Object.assign(this, { epoch, last: from, text });
    } else if (this.#startsOver) {
      Object.assign(this, { last: 0, text: "", reasoning: "" });
      this.#marks = [];
    } else return;
    this.#startsOver = false;
    this.#tell({ kind: "reset" });
  }

  /** The connection went, or the request failed: the next gap or `attach` asks again. */
  attachFailed() {
    this.#isAttaching = false;
  }

  /** The position asked for does not exist (a server that lost more than we saw): begin again from nothing. */
  startOver() {
    this.#isAttaching = false;
    this.#startsOver = true;
    this.epoch = 1;
    this.attach();
  }

  /**
   * The turn is over and its log is no longer kept, so that no `turn_end` will come: the store has the message.
   * @param {{status: string}} outcome
   */
  settle({ status }) {
    if (this.ending) return;
    this.isVerified = false;
    this.ending = { status };
    this.#tell({ kind: "end" });
  }

  /**
   * @param {string} name One of `TURN_EVENTS`.
   * @param {any} entry
   */
  receive(name, entry) {
    if (this.ending || entry.epoch < this.epoch) return;
    if (name === "turn_rewind") return this.#rewind(entry);
    const end = entry.offset + (entry.count ?? 1) - 1;
    if (entry.epoch === this.epoch && end <= this.last) return; // a replay overlapped the live stream
    if (entry.epoch !== this.epoch || entry.offset !== this.last + 1 || this.#startsOver) return this.attach();
    this.last = end;
    if (name === "turn_delta") this.#append(entry);
    else if (name === "turn_state") this.#become(entry);
    else if (name === "voice_partial") this.#hear("partial", { partial: entry.text });
    else if (name === "voice_final") this.#settleSpeech(entry.text);
    else if (name === "voice_answer") this.#hear("answer", { answer: entry.answer });
    else if (name === "turn_end") void this.#verify(entry);
  }

  /** @param {{kind: "text" | "reasoning", text: string, count: number, offset: number}} entry */
  #append({ kind, text, count }) {
    if (kind === "reasoning") {
      this.reasoning += text;
      this.#marks.push({ last: this.last, length: this.reasoning.length });
    } else {
      this.text += text;
    }
    this.#tell({ kind, piece: text, count });
  }

  /** @param {{state: string, progress?: number}} entry */
  #become({ state, progress }) {
    this.state = state;
    this.progress = progress ?? null;
    this.#tell({ kind: "state" });
  }

  /** @param {"partial" | "answer"} kind @param {{partial: string} | {answer: string}} heard */
  #hear(kind, heard) {
    Object.assign(this, heard);
    this.#tell({ kind });
  }

  /** @param {string} text */
  #settleSpeech(text) {
    this.partial = "";
    this.text += text;
    this.#tell({ kind: "text", piece: text, count: 1 });
  }

  /** @param {{epoch: number, offset: number, length: number}} entry */
  #rewind({ epoch, offset, length }) {
    if (epoch === this.epoch) return;
    if (offset > this.last) return this.attach();
    while (this.#marks.length && this.#marks[this.#marks.length - 1].last > offset) this.#marks.pop();
    this.reasoning = this.reasoning.slice(0, this.#marks[this.#marks.length - 1]?.length ?? 0);
    Object.assign(this, { epoch, last: offset, text: takeCodePoints(this.text, length) });
    this.#tell({ kind: "reset" });
  }

  /** @param {Change} change */
  #tell(change) {
    for (const listener of this.#listeners) listener(change);
  }

  /** @param {{length: number, sha256: string}} entry */
  async #verify(entry) {
    const { epoch, text } = this;
    const isRight = countCodePoints(text) === entry.length && (await this.#digest(text)) === entry.sha256;
    if (this.ending || epoch !== this.epoch) return; // a newer epoch came while the hash was made
    if (!isRight && this.#replays < MAX_REPLAYS) {
      this.#replays += 1;
      this.#startsOver = true;
      return this.attach();
    }
    this.isVerified = isRight;
    this.ending = entry;
    this.#tell({ kind: "end" });
  }
}
