// @ts-check
import { element, icon } from "./element.js";

/**
 * @typedef {Object} Item
 * @property {string} [t] A word of `i18n` ...
 * @property {string} [text] ... or the text itself.
 * @property {string} [icon]
 * @property {string} [hint] Smaller, below.
 * @property {boolean} [isChecked] Given: the item is one of a choice.
 * @property {boolean} [isDisabled]
 * @property {boolean} [startsGroup] A line stands before it.
 * @property {boolean} [isDangerous]
 * @property {() => void} onSelect
 */

/**
 * Opens a menu at a button. Arrow keys, Home, End, letters, Escape; closes by itself; gives the focus back.
 * @param {HTMLElement} anchor
 * @param {Item[]} items
 */
export function openMenu(anchor, items) {
  const menu = element("div", { className: "menu", attributes: { role: "menu", popover: "auto" } });
  const nodes = items.map((item) => itemNode(item, () => menu.hidePopover()));
  nodes.forEach((node, i) => {
    if (items[i].startsGroup && i) menu.append(element("div", { className: "menu-line", attributes: { role: "separator" } }));
    menu.append(node);
  });
  menu.addEventListener("keydown", (event) => move(event, nodes));
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "open") return;
    anchor.setAttribute("aria-expanded", "false");
    const hadFocus = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    if (hadFocus) anchor.focus();
  });
  (anchor.closest("dialog") ?? document.body).append(menu);
  anchor.setAttribute("aria-expanded", "true");
  menu.showPopover();
  place(menu, anchor.getBoundingClientRect());
  (nodes.find((node) => node.getAttribute("aria-checked") === "true") ?? nodes[0])?.focus();
}

/** @param {Item} item @param {() => void} close */
function itemNode(item, close) {
  const role = item.isChecked === undefined ? "menuitem" : "menuitemradio";
  const node = element("button", { className: "menu-item", attributes: { type: "button", role } }, [
    item.icon ? icon(item.icon) : null,
    element("span", { className: "menu-words" }, [
      element("span", { t: item.t, text: item.t ? undefined : item.text }),
      item.hint ? element("small", { text: item.hint }) : null,
    ]),
    item.isChecked ? icon("check") : null,
  ]);
  if (item.isChecked !== undefined) node.setAttribute("aria-checked", String(item.isChecked));
  if (item.isDisabled) node.setAttribute("aria-disabled", "true");
  node.classList.toggle("is-dangerous", !!item.isDangerous);
  node.addEventListener("click", () => {
    if (item.isDisabled) return;
    close();
    item.onSelect();
  });
  return node;
}

/** Below the button where there is room, else above; inside the window always. */
function place(/** @type {HTMLElement} */ menu, /** @type {DOMRect} */ at) {
  const { offsetWidth, offsetHeight } = menu;
  const isAbove = at.bottom + offsetHeight + 8 > innerHeight && at.top > offsetHeight;
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - offsetWidth - 8))}px`;
  menu.style.top = `${isAbove ? at.top - offsetHeight - 6 : Math.min(at.bottom + 6, innerHeight - offsetHeight - 8)}px`;
}

/** @param {KeyboardEvent} event @param {HTMLElement[]} nodes */
function move(event, nodes) {
  const at = nodes.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: nodes.length - 1 };
  let to = steps[/** @type {keyof typeof steps} */ (event.key)];
  if (to === undefined && event.key.length === 1) {
    const letter = event.key.toLowerCase();
    const order = [...nodes.keys()].map((i) => (at + 1 + i) % nodes.length);
    to = order.find((i) => nodes[i].textContent?.trim().toLowerCase().startsWith(letter)) ?? at;
  }
  if (event.key === "Escape") event.stopPropagation(); // closes the menu, stops nothing else
  if (to === undefined) return;
  event.preventDefault();
  nodes[(to + nodes.length) % nodes.length]?.focus();
}
