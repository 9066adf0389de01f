// @ts-check
import { setIcon } from "./element.js";
import { i18n } from "./i18n.js";

/**
 * Copy, and say so on the button for a moment.
 * @param {string} text
 * @param {HTMLButtonElement} button
 */
export async function copyText(text, button) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyTheOldWay(text);
  } catch {
    return;
  }
  const label = /** @type {HTMLElement} */ (button.querySelector("[data-t]") ?? button);
  setIcon(button, "check");
  const isLabelled = label !== button;
  const before = isLabelled ? label.dataset.t : button.dataset.tLabel;
  i18n.mark(label, isLabelled ? { t: "copied" } : { tLabel: "copied" });
  setTimeout(() => {
    setIcon(button, "copy");
    i18n.mark(label, isLabelled ? { t: before } : { tLabel: before });
  }, 1_600);
}

/** Browsers give the clipboard to secure pages only; on plain http from another machine this still works. */
function copyTheOldWay(/** @type {string} */ text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "off-screen";
  const host = document.querySelector("dialog[open]") ?? document.body;
  host.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
