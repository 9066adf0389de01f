// @ts-check
import { i18n } from "./i18n.js";
import { openMenu } from "./menu.js";

/** @typedef {import("./types.js").Model} Model */

const KEPT_AS = "parley.model";

/** Which model answers next. Models without a key stand in the list too, with the reason. */
export class ModelPicker {
  #button;
  #label;
  /** @type {Model[]} */
  #models = [];
  #picked = localStorage.getItem(KEPT_AS) ?? "";

  #onPicked;

  /** @param {HTMLButtonElement} button @param {() => void} onPicked */
  constructor(button, onPicked) {
    this.#button = button;
    this.#onPicked = onPicked;
    this.#label = /** @type {HTMLElement} */ (button.querySelector("span"));
    button.addEventListener("click", () => this.#open());
  }

  /** @param {Model[]} models */
  set models(models) {
    this.#models = [...models].sort((a, b) => Number(b.available) - Number(a.available));
    this.#show();
  }

  /** The one to send to; undefined leaves the choice to the server. */
  get model() {
    return this.#current;
  }

  /** Some model here sees pictures. */
  get canSee() {
    return this.#models.some((model) => model.available && model.vision);
  }

  get #current() {
    const usable = this.#models.filter((model) => model.available);
    return usable.find((model) => model.id === this.#picked) ?? usable[0];
  }

  #show() {
    this.#label.textContent = this.#current?.name ?? i18n.t("no_model");
    this.#button.hidden = this.#models.length === 0;
  }

  #open() {
    openMenu(
      this.#button,
      this.#models.map((model) => ({
        text: model.name,
        hint: describe(model),
        isChecked: model === this.#current,
        isDisabled: !model.available,
        onSelect: () => {
          this.#picked = model.id;
          localStorage.setItem(KEPT_AS, model.id);
          this.#show();
          this.#onPicked();
        },
      })),
    );
  }
}

/** @param {Model} model */
function describe({ provider, available, reasoning, vision }) {
  if (!available) return i18n.t("model_unavailable", { provider });
  return [provider, reasoning && i18n.t("model_reasons"), vision && i18n.t("model_sees")].filter(Boolean).join(" · ");
}
