// @ts-check
import { newClientId } from "./client_id.js";
import { RATE_HZ } from "./pcm_framer.js";
import { SpeechSender } from "./speech_sender.js";

/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./turns.js").Turns} Turns */
/** @typedef {import("./turn_stream.js").TurnStream} TurnStream */

/** @typedef {{text: string, isAnswered: boolean, ending: any, error?: import("./types.js").WireError}} Outcome */

const PAUSE_MS = 1_500; // after an overrun, should no acknowledgement end it: they come every 400 ms

/** One thing said: its sound on the way to the server, its captions on the way back. No DOM. */
export class Utterance {
  /** @type {TurnStream | null} Null until the server has begun. */
  stream = null;
  /** The speaker has finished. */
  isOver = false;
  /** Nothing more comes of it. */
  isClosed = false;
  #channel;
  #turns;
  #request;
  #onChange;
  #onEnd;
  #sender;
  #isStarting = false;
  #isEnding = false;
  /** @type {any} */
  #pause = null;

  /**
   * @param {Object} parts
   * @param {Channel} parts.channel
   * @param {Turns} parts.turns
   * @param {{model?: string, language?: string, answer?: {conversation?: string, model?: string}}} parts.wishes
   * @param {(change: import("./turn_stream.js").Change) => void} parts.onChange
   * @param {(outcome: Outcome) => void} parts.onEnd Once.
   */
  constructor({ channel, turns, wishes, onChange, onEnd }) {
    this.#channel = channel;
    this.#turns = turns;
    this.#onChange = onChange;
    this.#onEnd = onEnd;
    this.#request = { client_id: newClientId(), encoding: "pcm_s16le", rate: RATE_HZ, channels: 1, ...wishes };
    this.#sender = new SpeechSender((at, pcm) => this.#channel.send("voice_frame", { turn: this.stream?.turn, at, pcm }));
    void this.#start();
  }

  /** The page's own name for it. */
  get clientId() {
    return this.#request.client_id;
  }

  get text() {
    return this.stream?.text ?? "";
  }

  get partial() {
    return this.stream?.partial ?? "";
  }

  /** Bytes recorded so far. */
  get bytes() {
    return this.#sender.total;
  }

  /** @param {ArrayBuffer} pcm */
  push(pcm) {
    if (this.isOver || this.isClosed) return;
    if (!this.#sender.push(pcm)) this.#close({ code: "unreachable", message: "The line has been away too long." });
  }

  /** The speaker has finished: whatever is still on its way is sent, then the server is told. */
  finish() {
    this.isOver = true;
    this.#end();
  }

  /** As if nothing had been said. */
  cancel() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#letGo();
    const which = this.stream ? { turn: this.stream.turn } : { client_id: this.#request.client_id };
    this.#channel.ask(this.stream ? "voice_cancel" : "turn_stop", which).catch(() => {});
  }

  /** The namespace is connected again: the server tells where it is. */
  again() {
    if (!this.isClosed && !this.#isStarting) void this.#start();
  }

  /** The line has gone. */
  lineLost() {
    this.#letGo();
  }

  /**
   * @param {string} name `voice_ack`, `voice_overrun` or `voice_refused`.
   * @param {{turn: string, next: number, error?: import("./types.js").WireError}} payload
   */
  receive(name, { turn, next, error }) {
    if (turn !== this.stream?.turn || this.isClosed) return;
    if (name === "voice_refused") this.#close(error);
    else if (name === "voice_overrun") {
      this.#sender.close();
      clearTimeout(this.#pause);
      this.#pause = setTimeout(() => this.#goOn(next), PAUSE_MS);
    } else if (this.#pause) this.#goOn(next);
    else {
      this.#sender.acknowledged(next);
      this.#end();
    }
  }

  /** @param {number} next */
  #goOn(next) {
    clearTimeout(this.#pause);
    this.#pause = null;
    this.#sender.open(next);
    this.#end();
  }

  async #start() {
    this.#isStarting = true;
    try {
      await this.#turns.start("voice_start", this.#request, (ack, stream) => {
        if (this.isClosed) return;
        if (!this.stream) stream.listen((change) => this.#changed(change));
        this.stream = stream;
        this.#goOn(ack.next);
      });
    } catch (error) {
      this.#close(/** @type {any} */ (error).error ?? { code: "internal", message: "" });
    } finally {
      this.#isStarting = false;
    }
  }

  #end() {
    if (!this.isOver || this.isClosed || this.#isEnding || !this.stream || !this.#sender.isAllSent) return;
    this.#isEnding = true;
    const request = { turn: this.stream.turn, at: this.#sender.total };
    const acknowledged = (/** @type {{next: number}} */ { next }) => {
      if (next < request.at) this.#sender.goBack(next);
      else this.#sender.acknowledged(next);
    };
    this.#channel
      .ask("voice_end", request, acknowledged, { isLasting: false })
      .then(
        (ack) => (this.#isEnding = ack.next >= request.at),
        (error) => {
          this.#isEnding = false; // the line went: `again` comes back to it
          if (error.code !== "unreachable") this.#close(error.error);
        },
      )
      .then(() => this.#end());
  }

  /** @param {import("./turn_stream.js").Change} change */
  #changed(change) {
    if (this.isClosed) return;
    if (change.kind === "end") this.#close();
    else this.#onChange(change);
  }

  /** @param {import("./types.js").WireError} [error] */
  #close(error) {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#letGo();
    const ending = this.stream?.ending;
    this.#onEnd({ text: this.text, isAnswered: !!this.stream?.answer, ending, error: error ?? ending?.error });
  }

  #letGo() {
    clearTimeout(this.#pause);
    this.#pause = null;
    this.#sender.close();
  }
}
