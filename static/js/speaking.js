// @ts-check
import { AnswerPlayer } from "./answer_player.js";
import { Captions } from "./captions.js";
import { VOICE_EVENTS } from "./event_names.js";
import { i18n } from "./i18n.js";
import { bindTalkButton } from "./talk_button.js";
import { Turns } from "./turns.js";
import { Voice } from "./voice.js";
import { VoiceBar } from "./voice_bar.js";
import { VoiceChoice } from "./voice_choice.js";

/** Speaking on the page: its button and its bar, there as soon as the server offers `/voice` and a recogniser. */
export class Speaking {
  #parts;
  #channel;
  #turns;
  #choice = new VoiceChoice();
  #voice;
  #player;
  #bar;
  #captions;
  #phase = "off";

  /**
   * @param {Object} parts
   * @param {import("./connection.js").Connection} parts.connection
   * @param {import("./notices.js").Notices} parts.notices
   * @param {import("./announcer.js").Announcer} parts.announcer
   * @param {HTMLButtonElement} parts.button
   * @param {HTMLElement} parts.host Where captions are shown.
   * @param {() => {conversation?: string, model?: string} | null} parts.answer Where and by which model is answered; null
   *   for words that must not go by themselves.
   * @param {() => boolean} parts.isBusy An answer is being written.
   * @param {() => void} parts.onInterrupt
   * @param {(turn: string) => void} parts.onAnswer
   * @param {() => void} parts.onReading An answer begins to be read aloud, or no longer is.
   * @param {(turn: string, chars: number) => void} parts.onUnheard Of an answer so many code points were heard, and no more will be.
   * @param {(text: string) => void} parts.onText Words that were heard and are not being answered.
   */
  constructor(parts) {
    this.#parts = parts;
    this.#channel = parts.connection.channel({
      namespace: "/voice",
      events: VOICE_EVENTS,
      onEvent: (name, payload) => this.#heard(name, payload),
      onLost: () => {
        this.#voice.lineLost();
        this.#player.lineLost();
      },
    });
    this.#turns = new Turns(this.#channel);
    this.#player = new AnswerPlayer({
      channel: this.#channel,
      onChange: () => {
        this.#bar.update();
        parts.onReading();
      },
      onHushed: parts.onUnheard,
      onFailed: () => parts.notices.tell("speech_failed"),
    });
    this.#voice = new Voice({
      channel: this.#channel,
      turns: this.#turns,
      wishes: () => this.#wishes(),
      isBusy: () => parts.isBusy() || this.isReading,
      onInterrupt: parts.onInterrupt,
      onChange: () => this.#show(),
      onAnswer: (turn) => {
        this.#channel.ask("turn_detach", { turn }).catch(() => {}); // the page follows it on /text
        if (this.#choice.isSpoken) this.#player.expect(turn);
        parts.onAnswer(turn);
      },
      onHeard: (outcome) => this.#ended(outcome),
      onRefused: (why) => parts.notices.tell(`voice_refused_${why}`, "alert"),
    });
    this.#bar = new VoiceBar({
      voice: this.#voice,
      note: () => this.#choice.note,
      onChoose: (anchor) => this.#choice.open(anchor, () => this.#bar.update()),
      onLeft: () => parts.button.focus(),
    });
    this.#captions = new Captions({ turns: this.#turns, channel: this.#channel });
    parts.host.append(this.#captions.element, this.#bar.element);
    bindTalkButton(parts.button, this.#voice);
  }

  get isOn() {
    return this.#voice.phase !== "off" || this.#voice.utterance !== null;
  }

  /** An answer is being read aloud. */
  get isReading() {
    return this.#player.isPlaying;
  }

  /** Read no more of the answer aloud. */
  hush() {
    this.#player.hush();
  }

  /** Escape: as if nothing had been said. */
  cancel() {
    void this.#voice.cancel();
  }

  #wishes() {
    const { model, language, isChecked } = this.#choice;
    const answer = isChecked ? null : this.#parts.answer();
    return { model: model?.id, language, ...(answer ? { answer: this.#choice.isSpoken ? { ...answer, speak: true } : answer } : {}) };
  }

  /** @param {string} name @param {any} payload */
  #heard(name, payload) {
    if (name === "welcome") {
      this.#choice.models = payload.models ?? [];
      this.#choice.voices = payload.voices ?? [];
      this.#parts.button.hidden = !this.#choice.isPossible;
      this.#turns.catchUp();
      this.#voice.again();
    } else if (name === "voice_started") {
      if (!this.#voice.isMine(payload.client_id)) this.#captions.follow(payload.turn);
    } else {
      this.#turns.receive(name, payload);
      this.#voice.receive(name, payload);
      this.#player.receive(name, payload);
    }
  }

  #show() {
    const { phase } = this.#voice;
    this.#bar.update();
    if (phase === this.#phase) return;
    if (phase === "opening") {
      this.#player.hush(); // who presses to speak is not talked over
      if (this.#choice.isSpoken) this.#player.wake();
    }
    if (phase === "held" || phase === "free") this.#parts.announcer.say(i18n.t("voice_announce_on"));
    else if (phase === "off") this.#parts.announcer.say(i18n.t("voice_announce_off"));
    this.#phase = phase;
    this.#parts.button.setAttribute("aria-pressed", String(phase !== "off"));
    i18n.mark(this.#parts.button, { tLabel: phase === "free" ? "voice_stop" : "voice_talk" });
  }

  /** @param {import("./utterance.js").Outcome} outcome */
  #ended({ text, isAnswered, ending, error }) {
    const { notices, onText } = this.#parts;
    const words = text.trim();
    if (error) notices.refuse({ error });
    else if (ending?.answer_error) notices.refuse({ error: ending.answer_error });
    else if (!words && this.#voice.phase !== "free") notices.tell("voice_nothing"); // hands-free, it listens on
    else if (ending?.ended_by === "length") notices.tell("voice_too_long");
    if (words && !isAnswered) onText(words);
  }
}
