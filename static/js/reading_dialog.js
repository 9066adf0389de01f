// @ts-check
import { copyText } from "./clipboard.js";
import { newClientId } from "./client_id.js";
import { openDialog } from "./dialogs.js";
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { MarkdownView } from "./markdown_view.js";
import { errorWords } from "./notices.js";
import { RegionMap } from "./region_map.js";

/**
 * What a picture says, or what it shows: the words as they come, and for text a box around each stretch.
 * @param {Object} parts
 * @param {"ocr" | "describe"} parts.task
 * @param {{src: string, name: string, picture: import("./types.js").Picture}} parts.item
 * @param {import("./turns.js").Turns} parts.turns
 * @param {import("./markdown_view.js").Tools} parts.tools
 * @param {import("./announcer.js").Announcer} parts.announcer
 * @param {(text: string) => void} parts.onUse
 */
export function openReading({ task, item, turns, tools, announcer, onUse }) {
  const map = new RegionMap({ src: item.src, alt: item.name });
  const words = new MarkdownView(tools);
  const plain = element("div", { className: "plain-words", attributes: { dir: "auto" } });
  const state = element("p", { className: "hint", t: "picture_reading_now" });
  const fault = element("p", { className: "form-fault", hidden: true, attributes: { role: "alert" } });
  const isText = task === "ocr";
  let text = "";
  const copy = button({ icon: "copy", t: "copy", className: "plain", onClick: () => void copyText(text, copy) });
  const use = button({ t: "picture_use_words", className: "primary", onClick: () => (onUse(text.trim()), dialog.close()) });
  const dialog = openDialog({ t: isText ? "picture_text" : "picture_description", className: "reading" }, [
    element("div", { className: "reading-parts" }, [
      map.figure,
      element("div", { className: "reading-words" }, [state, isText ? plain : words.element, map.list, fault]),
    ]),
    element("footer", {}, [copy, use]),
  ]);
  for (const act of [copy, use]) act.disabled = true;
  /** @type {import("./turn_stream.js").TurnStream | null} */
  let stream = null;

  const show = (/** @type {import("./turn_stream.js").Change} */ change) => {
    if (!stream) return;
    text = stream.text;
    if (isText) plain.textContent = text;
    else if (change.kind === "text") words.append(change.piece);
    else if (change.kind === "reset") words.replace(text);
    if (change.kind === "end") end(stream.ending);
  };
  const end = (/** @type {any} */ ending) => {
    words.finish();
    state.hidden = true;
    for (const act of [copy, use]) act.disabled = !text.trim();
    if (ending.regions?.length) {
      plain.hidden = true;
      map.show(ending.regions, item.picture);
    }
    if (ending.error) refuse(ending.error);
    else if (!text.trim()) i18n.mark(state, { t: isText ? "picture_no_text" : "picture_no_words" });
    state.hidden = !!text.trim() || !!ending.error;
    announcer.say(text.trim() ? i18n.t("picture_read_done") : (state.textContent ?? ""));
  };
  const refuse = (/** @type {import("./types.js").WireError} */ error) => {
    state.hidden = true;
    fault.textContent = errorWords(error, "picture");
    fault.hidden = false;
  };

  const request = { client_id: newClientId(), task, picture: item.picture.id, language: i18n.code };
  turns
    .start("picture_read", request, (_ack, started) => {
      stream = started;
      stream.listen(show);
    })
    .catch((error) => refuse(error.error ?? { code: "internal" }));
  dialog.addEventListener("close", () => {
    if (!stream) void turns.stop({ client_id: request.client_id }).catch(() => {});
    else if (!stream.ending) void turns.stop({ turn: stream.turn }).catch(() => {});
  });
  return dialog;
}
