// @ts-check
import { Microphone, MicrophoneError } from "./microphone.js";
import { SpeechDetector } from "./speech_detector.js";
import { Utterance } from "./utterance.js";

/** @typedef {import("./pcm_framer.js").Frame} Frame */

const HOLD_MS = 300; // pressed for longer: push-to-talk; for less: hands-free until pressed again
const HEARD_NOTHING_MS = 90_000; // the microphone does not stay open in an empty room

/**
 * Speaking: the microphone, one utterance after the other, and what becomes of them. Held down, what is said until the
 * release is one utterance; pressed shortly, pauses divide them until it is switched off. No DOM.
 */
export class Voice {
  /** @type {"off" | "opening" | "held" | "free"} */
  phase = "off";
  level = 0;
  /** The newest utterance, while its words are still coming. @type {Utterance | null} */
  utterance = null;
  #parts;
  #microphone;
  #detector = new SpeechDetector();
  /** @type {Frame[]} Recorded before it was clear how long the button is pressed. */
  #early = [];
  /** Utterances of which something may still come; the newest one is on show. @type {Set<Utterance>} */
  #open = new Set();
  #isPressed = false;
  /** @type {any} */
  #holding = null;
  /** @type {any} */
  #idle = null;

  /**
   * @param {Object} parts
   * @param {import("./channel.js").Channel} parts.channel
   * @param {import("./turns.js").Turns} parts.turns
   * @param {() => {model?: string, language?: string, answer?: {conversation?: string, model?: string}}} parts.wishes
   * @param {() => boolean} parts.isBusy An answer is being written: hands-free listens again after it.
   * @param {() => void} parts.onInterrupt Someone speaks on purpose while an answer is being written.
   * @param {() => void} parts.onChange
   * @param {(turn: string) => void} parts.onAnswer What was said is being answered, by this turn.
   * @param {(outcome: import("./utterance.js").Outcome) => void} parts.onHeard An utterance is over.
   * @param {(why: string) => void} parts.onRefused `insecure`, `denied`, `missing`, `busy`, `gone` or `idle`.
   * @param {Microphone} [parts.microphone]
   */
  constructor({ microphone = new Microphone(), ...parts }) {
    this.#parts = parts;
    this.#microphone = microphone;
  }

  /** Hands-free, it does not listen now: what was said last is being answered. */
  get isWaiting() {
    return this.phase === "free" && (this.#parts.isBusy() || !!this.utterance?.isOver);
  }

  /** It is said here, not on another device. @param {string} clientId */
  isMine(clientId) {
    return [...this.#open].some((utterance) => utterance.clientId === clientId);
  }

  /** The button or the key goes down: listen; pressed once more in hands-free, stop listening. */
  press() {
    if (this.phase === "free" || this.phase === "opening") return void this.off();
    if (this.phase !== "off") return;
    this.#isPressed = true;
    void this.#listenIn();
    this.#holding = setTimeout(() => this.#hold(), HOLD_MS);
  }

  /** It comes up again. */
  release() {
    if (!this.#isPressed) return;
    this.#isPressed = false;
    clearTimeout(this.#holding);
    if (this.phase === "held") void this.off();
    else if (this.phase === "opening" && this.#early.length) this.#free();
  }

  /** Take what was said so far as all of it. */
  async off() {
    if (this.phase === "off") return;
    const wasFree = this.phase === "free";
    clearTimeout(this.#holding);
    clearTimeout(this.#idle);
    await this.#microphone.close(); // the last frames come meanwhile
    this.#isPressed = false;
    this.phase = "off";
    this.level = 0;
    if (wasFree) this.#detector.reset();
    this.#finish();
    this.#parts.onChange();
  }

  /** Forget what was said, and stop listening. */
  async cancel() {
    for (const utterance of this.#open) utterance.cancel();
    this.#open.clear();
    this.utterance = null;
    await this.off();
    this.#parts.onChange();
  }

  /** @param {string} name @param {any} payload */
  receive(name, payload) {
    if (!["voice_ack", "voice_overrun", "voice_refused"].includes(name)) return;
    for (const utterance of this.#open) utterance.receive(name, payload);
  }

  /** The namespace is connected again. */
  again() {
    for (const utterance of this.#open) utterance.again();
  }

  lineLost() {
    for (const utterance of this.#open) utterance.lineLost();
  }

  async #listenIn() {
    this.phase = "opening";
    this.#early = [];
    this.#detector = new SpeechDetector();
    this.#parts.onChange();
    try {
      await this.#microphone.open(
        (frame) => this.#hear(frame),
        () => this.#lose("gone"),
      );
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.#lose(error.why);
    }
  }

  /** @param {string} why */
  #lose(why) {
    void this.off();
    this.#parts.onRefused(why);
  }

  /** @param {Frame} frame */
  #hear(frame) {
    this.level = frame.level;
    if (this.phase === "opening") {
      this.#early.push(frame);
      if (!this.#isPressed) this.#free();
    } else if (this.phase === "held") this.utterance?.push(frame.pcm);
    else if (this.phase === "free") this.#listen(frame);
    this.#parts.onChange();
  }

  /** It has been down for long: what is said until the release is one utterance. */
  #hold() {
    if (!this.#isPressed || this.phase !== "opening") return;
    if (!this.#early.length) return void (this.#holding = setTimeout(() => this.#hold(), HOLD_MS)); // it is opening yet
    this.phase = "held";
    this.#begin();
    for (const { pcm } of this.#early) this.utterance?.push(pcm);
    this.#early = [];
    this.#parts.onChange();
  }

  #free() {
    this.phase = "free";
    const early = this.#early;
    this.#early = [];
    this.#stayAwake();
    for (const frame of early) this.#listen(frame);
    this.#parts.onChange();
  }

  /** @param {Frame} frame */
  #listen(frame) {
    if (this.utterance?.isOver || (this.#parts.isBusy() && !this.#detector.isSpeaking)) return this.#detector.reset();
    const { frames, hasBegun, hasEnded } = this.#detector.push(frame.level, frame);
    if (hasBegun) this.#begin();
    for (const { pcm } of frames) this.utterance?.push(pcm);
    if (frames.length) this.#stayAwake();
    if (hasEnded) this.#finish();
  }

  #begin() {
    if (this.#parts.isBusy()) this.#parts.onInterrupt();
    const { channel, turns, wishes, onAnswer } = this.#parts;
    const utterance = new Utterance({
      channel,
      turns,
      wishes: wishes(),
      onChange: ({ kind }) => {
        if (kind === "answer") onAnswer(/** @type {any} */ (utterance.stream).answer);
        this.#parts.onChange();
      },
      onEnd: (outcome) => this.#ended(utterance, outcome),
    });
    this.utterance = utterance;
    this.#open.add(utterance);
  }

  #finish() {
    const { utterance } = this;
    if (!utterance || utterance.isOver) return;
    if (utterance.bytes) utterance.finish();
    else {
      utterance.cancel();
      this.#open.delete(utterance);
      this.utterance = null;
    }
  }

  /** @param {Utterance} utterance @param {import("./utterance.js").Outcome} outcome */
  #ended(utterance, outcome) {
    this.#open.delete(utterance);
    if (utterance === this.utterance) {
      this.utterance = null;
      this.#detector.reset();
      if (this.phase === "held" || outcome.error) void this.off(); // its longest length, a long silence, or a refusal
    }
    this.#parts.onHeard(outcome);
    this.#parts.onChange();
  }

  #stayAwake() {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#lose("idle"), HEARD_NOTHING_MS);
  }
}
