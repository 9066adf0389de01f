// @ts-check

const KEPT_AS = "parley.theme"; // `first_paint.js` reads it too

/** Light, dark, or as the machine is set: an attribute of the page that the style sheet reads. */
export const theme = {
  get choice() {
    return localStorage.getItem(KEPT_AS) ?? "auto";
  },

  /** @param {string} choice `auto`, `light` or `dark`. */
  use(choice) {
    localStorage.setItem(KEPT_AS, choice);
    document.documentElement.dataset.theme = choice;
  },
};
