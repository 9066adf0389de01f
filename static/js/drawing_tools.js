// @ts-check
import { CodeView } from "./code_view.js";
import { Formulas } from "./formulas.js";
import { FrameQueue } from "./frame_queue.js";
import { Highlighter } from "./highlighter.js";
import { Markdown } from "./markdown.js";
import { Sanitizer } from "./sanitizer.js";
import { DOMPurify, loadFormulas, loadHighlighter, markdownit } from "./vendor.js";

/** What every answer is drawn with, built once. @returns {import("./markdown_view.js").Tools} */
export function drawingTools() {
  const sanitizer = new Sanitizer(DOMPurify);
  const highlighter = new Highlighter({ load: loadHighlighter, sanitizer });
  const formulas = new Formulas({ load: loadFormulas, sanitizer });
  const markdown = new Markdown({ markdownit, sanitizer, decorators: [innerCode(highlighter), formulas.decorate] });
  return { markdown, highlighter, frames: new FrameQueue() };
}

/** Code inside lists and quotes, which does not come as a block of its own. @param {Highlighter} highlighter */
function innerCode(highlighter) {
  return (/** @type {DocumentFragment} */ fragment) => {
    for (const code of fragment.querySelectorAll("pre > code")) {
      const info = /language-(\S+)/.exec(code.className)?.[1] ?? "";
      const view = new CodeView({ info, highlighter });
      view.update((code.textContent ?? "").replace(/\n$/, ""), false);
      code.parentElement?.replaceWith(view.element);
    }
  };
}
