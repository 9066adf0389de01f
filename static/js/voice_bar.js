// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { BYTES_PER_SECOND } from "./pcm_framer.js";

/** @typedef {import("./voice.js").Voice} Voice */

const BARS = 24;
const LOUDEST_DB = 54; // from the faintest sound that moves a bar to the loudest

/** What the page shows while someone speaks: how loud it is, the words as they are heard, and ways out. */
export class VoiceBar {
  #final = element("span");
  #partial = element("span", { className: "caption-partial" });
  #state = element("span", { className: "hint" });
  #note = element("small", { className: "voice-note" });
  #time = element("span", { className: "voice-time" });
  #levels = Array(BARS).fill(0);
  #bars = Array.from({ length: BARS }, () => element("i"));
  #done;
  #choice;
  #isAsked = false;
  #word = "";
  element;
  #voice;
  #noteOf;
  #onLeft;

  /**
   * @param {Object} parts
   * @param {Voice} parts.voice
   * @param {() => string} parts.note What to know of the recogniser.
   * @param {(anchor: HTMLElement) => void} parts.onChoose
   * @param {() => void} parts.onLeft It goes from the page, and the focus was in it.
   */
  constructor({ voice, note, onChoose, onLeft }) {
    this.#voice = voice;
    this.#noteOf = note;
    this.#onLeft = onLeft;
    this.#done = button({ icon: "check", tLabel: "voice_done", className: "quiet icon-button", onClick: () => void voice.off() });
    this.#choice = button({ icon: "dots", tLabel: "voice_choose", className: "quiet icon-button", attributes: { "aria-haspopup": "menu" }, onClick: () => onChoose(this.#choice) });
    const cancel = button({ icon: "close", tLabel: "voice_cancel", className: "quiet icon-button", onClick: () => void voice.cancel() });
    this.element = element("div", { className: "voice-bar", hidden: true, attributes: { role: "group" } }, [
      element("div", { className: "voice-level", attributes: { "aria-hidden": "true" } }, this.#bars),
      element("div", { className: "caption", attributes: { dir: "auto" } }, [this.#final, this.#partial, this.#state]),
      element("div", { className: "voice-acts" }, [this.#time, this.#choice, cancel, this.#done]),
      this.#note,
    ]);
    i18n.mark(this.element, { tLabel: "voice_bar" });
  }

  /** The voice has changed: draw it with the next frame. */
  update() {
    const { level } = this.#voice;
    this.#levels.push(level ? Math.max(0, 1 + (20 * Math.log10(level)) / LOUDEST_DB) : 0);
    this.#levels.shift();
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#isAsked = false;
    const { phase, utterance } = this.#voice;
    const isOpen = phase !== "off" || utterance !== null;
    const wasOpen = !this.element.hidden;
    const hadFocus = this.element.contains(document.activeElement);
    this.element.hidden = !isOpen;
    if (!isOpen) return void (hadFocus && this.#onLeft());
    if (!wasOpen) this.#levels.fill(0);
    this.#bars.forEach((bar, i) => bar.style.setProperty("--level", this.#levels[i].toFixed(2)));
    this.#final.textContent = utterance?.text ?? "";
    this.#partial.textContent = utterance?.partial ?? "";
    this.#tell(this.#stateWord());
    const seconds = Math.floor((utterance?.bytes ?? 0) / BYTES_PER_SECOND);
    this.#time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    this.#time.hidden = !utterance;
    this.#note.textContent = this.#noteOf();
    this.#note.hidden = !this.#note.textContent;
    this.#done.hidden = phase === "off";
  }

  #stateWord() {
    const { phase, utterance } = this.#voice;
    if (utterance?.text || utterance?.partial) return utterance.isOver ? "voice_finishing" : "";
    if (utterance?.isOver) return "voice_finishing";
    if (phase === "opening") return "voice_opening";
    if (phase === "held") return "voice_held";
    return utterance ? "voice_hearing" : this.#voice.isWaiting ? "voice_waiting" : "voice_free";
  }

  /** @param {string} word */
  #tell(word) {
    if (word === this.#word) return;
    this.#word = word;
    this.#state.hidden = !word;
    if (word) i18n.mark(this.#state, { t: word });
  }
}
