// @ts-check
import { i18n } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const SPRITE = new URL("../icons.svg", import.meta.url).href;

/**
 * @typedef {Object} Parts
 * @property {string} [className]
 * @property {string} [id]
 * @property {string} [text] Set as text, never as HTML.
 * @property {string} [t] A word of `i18n`, for the text.
 * @property {string} [tLabel] A word of `i18n`, for `aria-label` and the tooltip.
 * @property {string} [tPlaceholder]
 * @property {Record<string, string | number>} [tArgs]
 * @property {Record<string, string>} [attributes]
 * @property {number} [tabIndex]
 * @property {boolean} [hidden]
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Parts} [parts]
 * @param {(Node | string | null | undefined)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, parts = {}, children = []) {
  const node = document.createElement(tag);
  const { className, id, text, t, tLabel, tPlaceholder, tArgs, attributes = {}, tabIndex, hidden } = parts;
  if (className) node.className = className;
  if (id) node.id = id;
  if (text !== undefined) node.textContent = text;
  if (tabIndex !== undefined) node.tabIndex = tabIndex;
  if (hidden) node.hidden = true;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (t || tLabel || tPlaceholder) i18n.mark(node, { t, tLabel, tPlaceholder, tArgs });
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** @param {string} name A symbol of `icons.svg`. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

/** Another icon in the same place. @param {Element} host @param {string} name */
export function setIcon(host, name) {
  host.querySelector("use")?.setAttribute("href", `${SPRITE}#${name}`);
}

/**
 * @param {Parts & {icon?: string, onClick?: (event: MouseEvent) => void, type?: "button" | "submit"}} parts With an
 *   icon and `tLabel` it shows the icon only; with an icon and `t` both.
 */
export function button({ icon: iconName, onClick, type = "button", t, text, tArgs, ...parts }) {
  const node = element("button", { ...parts, tArgs, attributes: { type, ...parts.attributes } });
  if (iconName) node.append(icon(iconName));
  if (t || text !== undefined) node.append(element("span", { t, text, tArgs }));
  if (onClick) node.addEventListener("click", onClick);
  return node;
}
