// @ts-check
/**
 * Formulas for markdown-it: `$..$`, `$$..$$`, `\(..\)`, `\[..\]`. They become elements of class `math` whose text is
 * the source; `formulas.js` draws them. Pure.
 */

const INLINE = [
  { open: "$$", close: "$$", isBlock: true },
  { open: "\\[", close: "\\]", isBlock: true },
  { open: "\\(", close: "\\)", isBlock: false },
  { open: "$", close: "$", isBlock: false },
];
const MAX_TEX = 4_000;

/** @param {any} md */
export function mathRules(md) {
  md.inline.ruler.before("escape", "math", inlineMath);
  md.block.ruler.before("fence", "math_block", blockMath, { alt: ["paragraph", "reference", "blockquote", "list"] });
  md.renderer.rules.math = (/** @type {any[]} */ tokens, /** @type {number} */ i) => {
    const { content, meta } = tokens[i];
    const classes = `math ${meta.isBlock ? "math-block" : "math-inline"}${meta.isOpen ? " math-open" : ""}`;
    return `<span class="${classes}">${md.utils.escapeHtml(content)}</span>`;
  };
}

/** @param {any} state @param {boolean} silent */
function inlineMath(state, silent) {
  const { src, pos } = state;
  const kind = INLINE.find(({ open }) => src.startsWith(open, pos));
  if (!kind) return false;
  const start = pos + kind.open.length;
  const end = closing(state, start, kind.close);
  if (end < 0 || !isFormula(src, start, end, kind.open)) return false;
  if (!silent) push(state, src.slice(start, end), { isBlock: kind.isBlock });
  state.pos = end + kind.close.length;
  return true;
}

/**
 * Where the formula ends, -1 when it does not.
 * @param {any} state
 * @param {number} start
 * @param {string} close
 */
function closing(state, start, close) {
  const { src } = state;
  state.mathNeverClosed ??= new Set(); // hostile text opens thousands
  if (state.mathNeverClosed.has(close)) return -1;
  if (!src.includes(close, start)) state.mathNeverClosed.add(close);
  const limit = Math.min(src.length, start + MAX_TEX);
  for (let at = start; at < limit; at += 1) {
    if (src.startsWith(close, at)) return at;
    if (src[at] === "\\") at += 1;
  }
  return -1;
}

/** A single dollar is more often money: no space inside its marks, no digit after them. */
function isFormula(/** @type {string} */ src, /** @type {number} */ start, /** @type {number} */ end, /** @type {string} */ open) {
  const tex = src.slice(start, end);
  if (!tex.trim()) return false;
  if (open !== "$") return true;
  return !/^\s|\s$|\n\s*\n/.test(tex) && !/[0-9]/.test(src[end + 1] ?? "");
}

/** A formula on lines of its own. One that is not closed yet is kept together, so that it does not flicker as text. */
function blockMath(/** @type {any} */ state, /** @type {number} */ startLine, /** @type {number} */ endLine, /** @type {boolean} */ silent) {
  const start = state.bMarks[startLine] + state.tShift[startLine];
  const open = state.src.slice(start, start + 2);
  if (open !== "$$" && open !== "\\[") return false;
  const close = open === "$$" ? "$$" : "\\]";
  let line = startLine;
  let text = state.src.slice(start + 2, state.eMarks[startLine]);
  while (!text.trimEnd().endsWith(close)) {
    if (text.includes(close)) return false; // words follow on its line: the inline rule takes it
    line += 1;
    if (line >= endLine || state.isEmpty(line)) break;
    text += `\n${state.getLines(line, line + 1, state.blkIndent, false)}`;
  }
  const isOpen = !text.trimEnd().endsWith(close);
  const tex = isOpen ? open + text : text.trimEnd().slice(0, -close.length);
  if (!text.trim() || (!isOpen && tex.includes(close))) return false;
  if (silent) return true;
  state.line = Math.min(line + (isOpen ? 0 : 1), endLine);
  const token = push(state, tex, { isBlock: true, isOpen });
  token.block = true;
  token.map = [startLine, state.line];
  return true;
}

/** @param {any} state @param {string} content @param {{isBlock: boolean, isOpen?: boolean}} meta */
function push(state, content, meta) {
  const token = state.push("math", "", 0);
  return Object.assign(token, { content: content.trim(), meta });
}
