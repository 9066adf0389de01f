// @ts-check
/** The only file that knows where third-party code lies. `package.json` tells how it gets there. */
import "../vendor/markdown-it.min.js";
import "../vendor/purify.min.js";
import { io } from "../vendor/socket.io.esm.min.js";

const { markdownit, DOMPurify } = /** @type {any} */ (globalThis);

export { DOMPurify, io, markdownit };

/** Fetched when the first code block comes. @returns {Promise<any>} */
export async function loadHighlighter() {
  return (await import("../vendor/highlight.min.js")).default;
}

/** Fetched when the first formula comes, with its fonts. @returns {Promise<any>} */
export async function loadFormulas() {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = new URL("../vendor/katex/katex.min.css", import.meta.url).href;
  const styled = new Promise((resolve) => sheet.addEventListener("load", resolve, { once: true }));
  document.head.append(sheet);
  await Promise.all([import("../vendor/katex/katex.min.js"), styled]);
  return /** @type {any} */ (globalThis).katex;
}
