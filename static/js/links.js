// @ts-check
/** What may be a link, and where it really leads. Pure. */

const ADDRESS_IN_TEXT = /(?:^|[\s(/@])((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})(?=$|[\s/:?#).,;])/iu;

/**
 * The address, when it is one a reader may be sent to: absolute, and http, https or mailto.
 * @param {string} href
 * @returns {URL | null}
 */
export function safeAddress(href) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return null; // before parsing, which forgives hidden letters
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/**
 * The host to show beside a link's text, when that text could make one believe in another; else null.
 * @param {URL} url
 * @param {string} text
 */
export function hostToShow(url, text) {
  if (url.protocol === "mailto:") return null;
  const shown = ADDRESS_IN_TEXT.exec(text.trim())?.[1];
  const isDressedUp = url.username !== "" || url.hostname.split(".").some((label) => label.startsWith("xn--"));
  if (!shown) return isDressedUp ? url.hostname : null;
  return sameHost(shown, url.hostname) && !url.username ? null : url.hostname;
}

/** @param {string} shown @param {string} host */
function sameHost(shown, host) {
  try {
    return bare(new URL(`http://${shown}`).hostname) === bare(host);
  } catch {
    return false;
  }
}

/** @param {string} host */
function bare(host) {
  return host.toLowerCase().replace(/^www\./, "");
}
