// @ts-check
/** The one gate between HTML made from a model's text and the page: a short list of what may pass. */

const TAGS = [
  "p", "br", "hr", "h3", "h4", "h5", "h6", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li",
  "table", "thead", "tbody", "tr", "th", "td", "a", "span",
]; // prettier-ignore

const CONFIG = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "class", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const FORMULA_CONFIG = {
  USE_PROFILES: { html: true, svg: true, mathMl: true },
  ADD_TAGS: ["semantics", "annotation"],
  FORBID_TAGS: ["a", "img", "image", "use", "style", "form", "input", "button", "foreignObject"],
  FORBID_ATTR: ["href", "src", "xlink:href"],
};

export class Sanitizer {
  #purify;

  /** @param {any} purify DOMPurify, for this window. */
  constructor(purify) {
    this.#purify = purify;
  }

  /**
   * @param {string} html
   * @returns {DocumentFragment}
   */
  fragment(html) {
    return this.#purify.sanitize(html, CONFIG);
  }

  /**
   * MathML, from a string.
   * @param {string} html
   * @returns {DocumentFragment}
   */
  formula(html) {
    return this.#purify.sanitize(html, { ...FORMULA_CONFIG, RETURN_DOM_FRAGMENT: true });
  }

  /**
   * A drawn formula, in place: its styles were set through the object model, which a strict policy allows.
   * @param {HTMLElement} element
   */
  drawing(element) {
    this.#purify.sanitize(element, { ...FORMULA_CONFIG, IN_PLACE: true });
    return element;
  }
}
