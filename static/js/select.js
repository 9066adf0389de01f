// @ts-check
import { element } from "./element.js";

/** One of a few, with its label. @param {string} t @param {string[][]} options Value and words. */
export function select(t, options) {
  const input = element("select", {});
  const fill = (/** @type {string[][]} */ choices) =>
    input.replaceChildren(...choices.map(([value, text]) => element("option", { text, attributes: { value } })));
  fill(options);
  return { input, fill, label: element("label", { className: "pick" }, [element("span", { t }), input]) };
}
