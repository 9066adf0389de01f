// @ts-check
import { newClientId } from "./client_id.js";
import { openDialog } from "./dialogs.js";
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { errorWords } from "./notices.js";
import { select } from "./select.js";

/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {{id: string, name: string, provider: string, size: string, available: boolean}} Painter `size`: its own. */

const SIZES = ["512*512", "1024*1024", "1280*720", "720*1280"];
const MOST = 4;

/**
 * Draw pictures from words: what to draw, how it is coming along, and what came of it.
 * @param {Object} parts
 * @param {import("./turns.js").Turns} parts.turns
 * @param {Painter[]} parts.painters
 * @param {string} parts.prompt
 * @param {(picture: Picture) => string} parts.address
 * @param {import("./announcer.js").Announcer} parts.announcer
 * @param {((picture: Picture, name: string) => void) | null} parts.onUse Null where no model sees pictures.
 */
export function openDrawing({ turns, painters, prompt, address, announcer, onUse }) {
  const area = element("textarea", { className: "edit-area", tPlaceholder: "draw_prompt", tLabel: "draw_prompt", attributes: { name: "prompt", rows: "3", maxlength: "2000", required: "" } });
  area.value = prompt;
  const painter = select("draw_model", painters.map(({ id, name }) => [id, name]));
  const size = select("draw_size", sizesOf(painters[0]));
  const count = select("draw_count", Array.from({ length: MOST }, (_, i) => [String(i + 1), String(i + 1)]));
  const go = button({ icon: "brush", t: "draw", className: "primary", type: "submit" });
  const stop = button({ t: "cancel", className: "plain", onClick: () => void halt() });
  const state = element("span", { className: "status-text" });
  const bar = element("progress", { attributes: { max: "1" } });
  const live = element("div", { className: "drawing-state", hidden: true, attributes: { role: "status" } }, [state, bar, stop]);
  const note = element("p", { className: "hint", t: "draw_note_demo", hidden: painters[0].provider !== "demo" });
  const fault = element("p", { className: "form-fault", hidden: true, attributes: { role: "alert" } });
  const results = element("div", { className: "drawn" });
  const form = element("form", { className: "drawing" }, [
    area,
    element("div", { className: "row" }, [painters.length > 1 ? painter.label : null, size.label, count.label, go]),
    note,
    fault,
    live,
    results,
  ]);
  painter.input.addEventListener("change", () => {
    const known = painters.find(({ id }) => id === painter.input.value) ?? painters[0];
    size.fill(sizesOf(known));
    note.hidden = known.provider !== "demo";
  });

  /** @type {import("./turn_stream.js").TurnStream | null} */
  let stream = null;
  let client_id = "";
  const halt = () => turns.stop(stream ? { turn: stream.turn } : { client_id }).catch(() => {});
  const busy = (/** @type {boolean} */ isBusy) => {
    go.disabled = isBusy;
    live.hidden = !isBusy;
    if (isBusy) fault.hidden = true;
  };
  const refuse = (/** @type {import("./types.js").WireError} */ error) => {
    busy(false);
    fault.textContent = errorWords(error, "picture");
    fault.hidden = false;
  };
  const show = (/** @type {string} */ wanted) => () => {
    if (!stream) return;
    i18n.mark(state, { t: stream.state === "queued" ? "state_queued" : "draw_state" });
    if (stream.progress === null) bar.removeAttribute("value");
    else bar.value = stream.progress;
    if (!stream.ending) return;
    const { pictures = [], error } = stream.ending;
    busy(false);
    results.prepend(...pictures.map((/** @type {Picture} */ picture) => drawn(picture, wanted)));
    if (error) refuse(error);
    else announcer.say(i18n.t("draw_done"));
    stream = null;
  };
  const drawn = (/** @type {Picture} */ picture, /** @type {string} */ words) =>
    element("figure", {}, [
      element("img", { attributes: { src: address(picture), alt: words, width: String(picture.width), height: String(picture.height) } }),
      element("figcaption", {}, [
        download(address(picture), picture),
        onUse ? button({ t: "picture_ask", className: "chip", onClick: () => (onUse(picture, words), dialog.close()) }) : null,
      ]),
    ]);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = area.value.trim();
    if (!wanted || stream) return;
    client_id = newClientId();
    busy(true);
    i18n.mark(state, { t: "state_sending" });
    bar.removeAttribute("value");
    const model = painter.input.value || undefined;
    const request = { client_id, prompt: wanted, size: size.input.value, count: Number(count.input.value), model };
    turns
      .start("picture_draw", request, (_ack, started) => {
        stream = started;
        stream.listen(show(wanted));
      })
      .catch((error) => refuse(error.error ?? { code: "internal" }));
  });
  const dialog = openDialog({ t: "draw_title", className: "drawing-dialog" }, [form]);
  dialog.addEventListener("close", () => void (live.hidden || halt()));
  area.focus();
  return dialog;
}

/** The painter's own size first. @param {Painter} painter */
function sizesOf({ size }) {
  return [size, ...SIZES.filter((other) => other !== size)].map((value) => [value, value.replace("*", " × ")]);
}

/** @param {string} href @param {Picture} picture */
function download(href, { id, type }) {
  const link = element("a", { className: "link", t: "download", attributes: { href, download: `${id}.${type === "image/jpeg" ? "jpg" : "png"}` } });
  return link;
}
