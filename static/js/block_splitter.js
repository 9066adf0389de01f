// @ts-check
import { wholeLetters } from "./code_points.js";

/**
 * @typedef {Object} Block
 * @property {"flow" | "code"} kind
 * @property {string} source Whole lines of Markdown; of a code block the code itself, without its fence.
 * @property {string} partial The line that has begun after them.
 * @property {string} info What stands after a code block's opening fence.
 * @property {boolean} isOpen More may still be added to it.
 */

const MAX_CHARS = 12_000; // a longer stretch without a natural end is cut, so that one rendering stays short
const MAX_CELLS = 3_000; // of a table, for the same reason
const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})\s*(.*)$/;
const FENCE_END = /^ {0,3}(`+|~+)\s*$/;
const HEADING = /^ {0,3}#{1,6}(?:[ \t]|$)/;
const LIST_ITEM = /^ {0,3}(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)/;
const MAYBE_LIST_ITEM = /^ {0,3}(?:[-+*]|\d{1,9}[.)]?)?$/;
const MATH_OPEN = /^ {0,3}(?:\$\$(?!.*\$\$)|\\\[(?!.*\\\]))/;
const MATH_CLOSE = /(?:\$\$|\\\])\s*$/;
const TABLE_HEAD = /^.*\|.*\n {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*\n$/;

/**
 * Cuts Markdown that arrives in pieces into blocks which can be rendered one by one. All but the last are settled:
 * nothing that comes later changes them. Pure.
 */
export class BlockSplitter {
  /** @type {Block[]} */
  blocks = [];
  /** The first block that changed since the reader of this set it to `blocks.length`. */
  firstChanged = 0;

  #line = ""; // begun, without its line break yet
  #isMidLine = false; // the beginning of `#line` is already in a block
  #isBlank = false; // the last whole line was
  #isList = false;
  #isMath = false;
  /** @type {{mark: string, length: number, indent: number} | null} */
  #fence = null;
  #tableHead = "";
  #rowsLeft = Infinity; // until the open table is cut

  /** @param {string} text */
  push(text) {
    const lines = text.split("\n");
    for (let i = 0; i < lines.length; i += 1) {
      this.#line += lines[i];
      if (this.#line.length > MAX_CHARS) this.#cutLine();
      if (i < lines.length - 1) this.#endLine();
    }
    if (this.#line) this.#showPartial();
  }

  /** No more text comes. */
  finish() {
    if (this.#line) this.#endLine();
    this.#close();
  }

  /** The open block; a new one when the last is settled. */
  #open(/** @type {"flow" | "code"} */ kind = "flow", info = "") {
    let block = this.blocks[this.blocks.length - 1];
    if (!block?.isOpen) {
      block = { kind, info, source: "", partial: "", isOpen: true };
      this.blocks.push(block);
    }
    this.firstChanged = Math.min(this.firstChanged, this.blocks.length - 1);
    return block;
  }

  get #openSource() {
    const block = this.blocks[this.blocks.length - 1];
    return block?.isOpen ? block.source : "";
  }

  #endLine() {
    const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
    const isRest = this.#isMidLine;
    this.#line = "";
    this.#isMidLine = false;
    if (this.#fence) return this.#codeLine(line, isRest);
    if (isRest) return this.#flowLine(line);
    if (this.#beginsBlock(line, true)) this.#close();
    const fence = this.#isMath ? null : FENCE.exec(line);
    if (!fence || (this.#isList && fence[1])) return this.#flowLine(line);
    this.#close();
    this.#fence = { mark: fence[2][0], length: fence[2].length, indent: fence[1].length };
    this.#open("code", fence[3].trim());
  }

  /** @param {string} line */
  #flowLine(line) {
    const isFirst = !this.#openSource;
    const isBlank = !line.trim();
    if (isFirst && isBlank) return this.#close();
    if (isFirst) this.#isList = LIST_ITEM.test(line);
    const block = this.#open();
    block.source += `${line}\n`;
    block.partial = "";
    this.#isBlank = isBlank;
    const isHeading = !this.#isList && !this.#isMath && HEADING.test(line);
    this.#isMath = this.#isMath ? !isBlank && !MATH_CLOSE.test(line) : MATH_OPEN.test(line);
    if (block.source.length < 2_000 && TABLE_HEAD.test(block.source)) this.#beginTable(block.source);
    else this.#rowsLeft -= 1;
    if (isHeading) this.#close();
    else if (this.#rowsLeft <= 0 || block.source.length > (this.#isList ? 2 : 1) * MAX_CHARS) this.#cutBlock();
  }

  /** @param {string} line @param {boolean} isRest */
  #codeLine(line, isRest) {
    const { mark, length, indent } = /** @type {{mark: string, length: number, indent: number}} */ (this.#fence);
    const end = isRest ? null : FENCE_END.exec(line);
    const block = this.#open();
    block.partial = "";
    if (end && end[1][0] === mark && end[1].length >= length) return this.#close();
    block.source += `${indent ? line.replace(new RegExp(`^ {0,${indent}}`), "") : line}\n`;
  }

  /** Show the begun line too; it may still turn out to be something else. */
  #showPartial() {
    if (this.#fence && FENCE_END.test(this.#line)) return; // most likely the fence that closes it
    if (!this.#fence && !this.#isMidLine) {
      if (!this.#line.trim()) return;
      if (this.#beginsBlock(this.#line, false)) this.#close();
      if (!this.#isMath && FENCE.test(this.#line)) return this.#hidePartial(); // code begins with the next line
    }
    this.#open().partial = this.#line;
  }

  /**
   * Whether `line` cannot belong to the open block. A line not yet whole may be too short to tell; then it stays.
   * @param {string} line
   * @param {boolean} isWhole
   */
  #beginsBlock(line, isWhole) {
    const { length } = this.#openSource;
    const isIndented = /^[ \t]/.test(line);
    if (!length || this.#isMath || !line.trim()) return false;
    if (this.#isList) {
      if (isIndented) return false;
      if (LIST_ITEM.test(line)) return length > MAX_CHARS;
      if (!isWhole && MAYBE_LIST_ITEM.test(line)) return false;
    }
    return this.#isBlank || (isWhole && HEADING.test(line));
  }

  /** A line without end is shown in parts. */
  #cutLine() {
    const line = this.#line;
    const at = wholeLetters(line, MAX_CHARS);
    const block = this.#open();
    block.source += line.slice(0, at);
    block.partial = "";
    if (!this.#fence) this.#close();
    this.#line = line.slice(at);
    this.#isMidLine = true;
    if (this.#line.length > MAX_CHARS) this.#cutLine();
  }

  /** @param {string} head */
  #beginTable(head) {
    this.#tableHead = head;
    this.#rowsLeft = Math.ceil(MAX_CELLS / head.slice(0, head.indexOf("\n")).split("|").length);
  }

  /** Too long: settle here. A table goes on under a copy of its head. */
  #cutBlock() {
    const head = this.#tableHead;
    this.#close();
    if (!head) return;
    this.#open().source = head;
    this.#beginTable(head);
  }

  /** What was shown of the begun line turned out to belong elsewhere. */
  #hidePartial() {
    const block = this.blocks[this.blocks.length - 1];
    if (!block?.isOpen || !block.partial) return;
    this.#open().partial = "";
    if (!block.source) this.blocks.pop();
    this.firstChanged = Math.min(this.firstChanged, this.blocks.length);
  }

  #close() {
    this.#hidePartial();
    if (this.blocks[this.blocks.length - 1]?.isOpen) this.#open().isOpen = false;
    this.#isBlank = this.#isList = this.#isMath = false;
    this.#fence = null;
    this.#tableHead = "";
    this.#rowsLeft = Infinity;
  }
}
