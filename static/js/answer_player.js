// @ts-check

const LEAD_S = 0.06; // between a piece's coming and its sounding: pieces follow one another without a gap

/** An answer that is read aloud: its sound, played piece by piece as it comes, and silent at once. No DOM. */
export class AnswerPlayer {
  #parts;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {string | null} */
  #turn = null;
  /** @type {AudioBufferSourceNode[]} */
  #sources = [];
  /** What was scheduled: when it sounds, and for how long. @type {{at: number, lasts: number}[]} */
  #played = [];
  #next = 0;
  #isComplete = false;

  /**
   * @param {Object} parts
   * @param {import("./channel.js").Channel} parts.channel
   * @param {() => void} parts.onChange It began to sound, or is silent again.
   * @param {(turn: string, chars: number) => void} parts.onHushed So many code points of the answer were heard.
   * @param {(error: import("./types.js").WireError) => void} parts.onFailed The voice failed; the text comes all the same.
   * @param {() => AudioContext} [parts.makeContext]
   */
  constructor({ makeContext = () => new AudioContext(), ...parts }) {
    this.#parts = { makeContext, ...parts };
  }

  /** Something sounds, or will. */
  get isPlaying() {
    return this.#sources.length > 0;
  }

  /** Someone presses a button: only then browsers let a page make sound. */
  wake() {
    this.#context ??= this.#parts.makeContext();
    void this.#context.resume();
  }

  /** This answer is for the ears on this page. @param {string} turn */
  expect(turn) {
    this.hush();
    this.wake();
    this.#turn = turn;
    this.#played = [];
    this.#next = 0;
    this.#isComplete = false;
  }

  /** @param {string} name @param {any} payload */
  receive(name, payload) {
    if (!name.startsWith("voice_speech") || payload.turn !== this.#turn) return;
    if (name === "voice_speech") this.#play(payload);
    else if (name === "voice_speech_over") this.#over(payload);
  }

  /**
   * Be silent at once, and let the server know how far the answer was heard.
   * @returns {boolean} Whether there was anything to silence.
   */
  hush() {
    const turn = this.#turn;
    if (turn === null) return false;
    const [heard, wasPlaying] = [this.#heardMs(), this.isPlaying];
    this.#turn = null;
    for (const source of this.#sources.splice(0)) {
      source.onended = null;
      source.stop();
    }
    this.#tell(turn, heard);
    if (wasPlaying) this.#parts.onChange();
    return wasPlaying;
  }

  /** The line has gone, and with it what was still to come. */
  lineLost() {
    this.#isComplete = true;
    this.#ended();
  }

  /** @param {{rate: number, pcm: ArrayBuffer}} piece */
  #play({ rate, pcm }) {
    const context = this.#context;
    if (!context) return;
    const samples = new Int16Array(pcm);
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32_768), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    const at = Math.max(this.#next, context.currentTime + LEAD_S);
    source.start(at);
    source.onended = () => {
      this.#sources.splice(this.#sources.indexOf(source), 1);
      this.#ended();
    };
    this.#next = at + buffer.duration;
    this.#played.push({ at, lasts: buffer.duration });
    this.#sources.push(source);
    if (this.#sources.length === 1) this.#parts.onChange();
  }

  /** @param {{reason: string, error?: import("./types.js").WireError}} ending */
  #over({ reason, error }) {
    this.#isComplete = true;
    if (error) this.#parts.onFailed(error);
    if (reason === "stopped") this.hush();
    else this.#ended();
  }

  #ended() {
    if (this.isPlaying) return;
    if (this.#isComplete) this.#turn = null;
    this.#parts.onChange();
  }

  #heardMs() {
    const now = this.#context?.currentTime ?? 0;
    const heard = this.#played.reduce((sum, { at, lasts }) => sum + Math.min(Math.max(now - at, 0), lasts), 0);
    return Math.round(heard * 1_000);
  }

  /** @param {string} turn @param {number} heard */
  async #tell(turn, heard) {
    try {
      const { heard_chars: chars } = await this.#parts.channel.ask("voice_hush", { turn, heard }, undefined, { isLasting: false });
      if (chars !== undefined) this.#parts.onHushed(turn, chars);
    } catch {
      // it was silent already, or the line has gone: the server goes by its own clock
    }
  }
}
