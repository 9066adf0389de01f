// @ts-check
/** Counting text as the protocol does: in code points, while JavaScript counts UTF-16 units. */

const PAIR = /[\uD800-\uDBFF][\uDC00-\uDFFF]/g;

/** @param {string} text */
export function countCodePoints(text) {
  return text.length - (text.match(PAIR)?.length ?? 0);
}

/**
 * The first `count` code points of `text`.
 * @param {string} text
 * @param {number} count
 */
export function takeCodePoints(text, count) {
  let at = 0;
  while (count > 0 && at < text.length) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    count -= 1;
  }
  return text.slice(0, at);
}

/**
 * `at`, or one less when a cut there would part the two halves of a letter.
 * @param {string} text
 * @param {number} at
 */
export function wholeLetters(text, at) {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}
