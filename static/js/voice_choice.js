// @ts-check
import { i18n } from "./i18n.js";
import { openMenu } from "./menu.js";

/** @typedef {{id: string, name: string, provider: string, available: boolean, languages: string[], note: string}} Recogniser */

const MODEL_KEPT_AS = "parley.recogniser";
const LANGUAGE_KEPT_AS = "parley.spoken";
const CHECK_KEPT_AS = "parley.check_speech";
const SPEAK_KEPT_AS = "parley.speak_answers";

/** Which recogniser listens, for which language, whether its words are sent at once, and whether answers are read aloud. */
export class VoiceChoice {
  /** @type {Recogniser[]} */
  #models = [];
  #picked = localStorage.getItem(MODEL_KEPT_AS) ?? "";
  #spoken = localStorage.getItem(LANGUAGE_KEPT_AS) ?? "";
  /** The words go into the message box, to be looked at before they are sent. */
  isChecked = localStorage.getItem(CHECK_KEPT_AS) === "yes";
  /** @type {Recogniser[]} */
  #voices = [];
  #isSpoken = localStorage.getItem(SPEAK_KEPT_AS) === "yes";

  /** @param {Recogniser[]} models */
  set models(models) {
    this.#models = models;
  }

  /** @param {Recogniser[]} voices What reads answers aloud. */
  set voices(voices) {
    this.#voices = voices;
  }

  /** Answers are to be read aloud, and can be. */
  get isSpoken() {
    return this.#isSpoken && this.#canSpeak;
  }

  get #canSpeak() {
    return this.#voices.some((voice) => voice.available);
  }

  get isPossible() {
    return this.#models.some((model) => model.available);
  }

  /** @returns {Recogniser | undefined} */
  get model() {
    const usable = this.#models.filter((model) => model.available);
    const language = this.#spoken || i18n.code;
    return usable.find((model) => model.id === this.#picked) ?? usable.find((model) => speaks(model, language)) ?? usable[0];
  }

  /** For `voice_start`; undefined leaves it to the recogniser. */
  get language() {
    const { model } = this;
    const wanted = this.#spoken || i18n.code;
    return model && speaks(model, wanted) ? wanted : undefined;
  }

  /** What to know before trusting it, in the reader's language where the page has the words. */
  get note() {
    const { model } = this;
    if (!model?.note) return "";
    const key = `voice_note_${model.provider}`;
    return i18n.has(key) ? i18n.t(key) : model.note;
  }

  /** @param {HTMLElement} anchor @param {() => void} onChosen */
  open(anchor, onChosen) {
    const keep = (/** @type {string} */ name, /** @type {string} */ value) => {
      localStorage.setItem(name, value);
      onChosen();
    };
    const models = this.#models.map((model) => ({
      text: model.name,
      hint: model.available ? [model.provider, ...model.languages].join(" · ") : i18n.t("model_unavailable", { provider: model.provider }),
      isChecked: model === this.model,
      isDisabled: !model.available,
      onSelect: () => keep(MODEL_KEPT_AS, (this.#picked = model.id)),
    }));
    const languages = (this.model?.languages ?? []).map((language, i) => ({
      startsGroup: i === 0,
      text: spoken(language),
      isChecked: language === this.language,
      onSelect: () => keep(LANGUAGE_KEPT_AS, (this.#spoken = language)),
    }));
    const sends = [false, true].map((isChecked) => ({
      t: isChecked ? "voice_check_first" : "voice_send_at_once",
      startsGroup: !isChecked,
      isChecked: isChecked === this.isChecked,
      onSelect: () => keep(CHECK_KEPT_AS, (this.isChecked = isChecked) ? "yes" : "no"),
    }));
    const speaks = {
      t: "speech_aloud",
      startsGroup: true,
      hint: this.#canSpeak ? undefined : i18n.t("speech_no_voice"),
      isChecked: this.isSpoken,
      isDisabled: !this.#canSpeak,
      onSelect: () => keep(SPEAK_KEPT_AS, (this.#isSpoken = !this.isSpoken) ? "yes" : "no"),
    };
    openMenu(anchor, [...models, ...(languages.length > 1 ? languages : []), ...sends, speaks]);
  }
}

/** @param {Recogniser} model @param {string} language */
function speaks({ languages }, language) {
  return !languages.length || languages.includes(language);
}

/** @param {string} code */
function spoken(code) {
  return new Intl.DisplayNames([i18n.code], { type: "language" }).of(code) ?? code;
}
