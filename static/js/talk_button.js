// @ts-check

/** @typedef {import("./voice.js").Voice} Voice */

/**
 * The microphone's button and its key: held down or pressed shortly, with a finger, a mouse or the keyboard.
 * @param {HTMLButtonElement} button
 * @param {Voice} voice
 */
export function bindTalkButton(button, voice) {
  let isHandled = false; // the click that follows a press says nothing new
  const press = () => {
    isHandled = true;
    voice.press();
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  for (const name of ["pointerup", "pointercancel"]) button.addEventListener(name, () => voice.release());
  button.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) press();
  });
  button.addEventListener("keyup", (event) => {
    if (event.key === " " || event.key === "Enter") voice.release();
  });
  button.addEventListener("click", () => {
    if (!isHandled) voice.press(); // a screen reader's click has neither a finger nor a key
    voice.release();
    isHandled = false;
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
  document.addEventListener("keydown", (event) => {
    if (!isTalkKey(event) || button.hidden || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (!event.repeat) voice.press();
  });
  document.addEventListener("keyup", (event) => {
    if (event.code === "KeyR" || event.key === "Alt") voice.release();
  });
  addEventListener("blur", () => voice.release()); // the key may come up elsewhere
}

/** @param {KeyboardEvent} event */
function isTalkKey({ code, altKey, ctrlKey, metaKey }) {
  return code === "KeyR" && altKey && !ctrlKey && !metaKey;
}
