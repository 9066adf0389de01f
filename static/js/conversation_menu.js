// @ts-check
import { confirmed } from "./dialogs.js";
import { element } from "./element.js";
import { i18n } from "./i18n.js";
import { openMenu } from "./menu.js";

/** @typedef {{id: string, title: string}} Named */

/** What can be done with a conversation: rename, export, delete. */
export class ConversationMenu {
  #api;
  #notices;
  #onChanged;

  /**
   * @param {Object} parts
   * @param {import("./api.js").Api} parts.api
   * @param {import("./notices.js").Notices} parts.notices
   * @param {(change: {conversation: string, title?: string, deleted?: boolean}) => void} parts.onChanged
   */
  constructor({ api, notices, onChanged }) {
    this.#api = api;
    this.#notices = notices;
    this.#onChanged = onChanged;
  }

  /**
   * @param {HTMLElement} anchor
   * @param {Named} named
   * @param {HTMLElement | null} item Its entry in the list, where a new name is typed.
   */
  open(anchor, named, item) {
    openMenu(anchor, [
      ...(item ? [{ t: "rename", icon: "edit", onSelect: () => this.#rename(named, item) }] : []),
      { t: "export_markdown", icon: "download", onSelect: () => this.#export(named.id, "markdown") },
      { t: "export_json", icon: "download", onSelect: () => this.#export(named.id, "json") },
      { t: "delete", icon: "trash", isDangerous: true, onSelect: () => void this.#delete(named) },
    ]);
  }

  /** @param {Named} named @param {HTMLElement} item */
  #rename({ id, title: before }, item) {
    const input = element("input", { tLabel: "new_name", attributes: { maxlength: "200" } });
    input.value = before;
    let isOver = false;
    const finish = async (/** @type {boolean} */ isKept) => {
      if (isOver) return;
      isOver = true;
      let title = input.value.trim();
      try {
        if (isKept && title && title !== before) ({ title } = await this.#api.rename(id, title));
        else title = before;
      } catch (error) {
        title = before;
        this.#notices.refuse(error);
      }
      this.#onChanged({ conversation: id, title });
    };
    input.addEventListener("blur", () => void finish(true));
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
      event.stopPropagation();
      void finish(event.key === "Enter");
    });
    item.replaceChildren(input);
    input.select();
  }

  /** @param {string} id @param {"markdown" | "json"} format */
  #export(id, format) {
    element("a", { attributes: { href: this.#api.exportAddress(id, format), download: "" } }).click();
  }

  /** @param {Named} named */
  async #delete({ id, title }) {
    if (!(await confirmed({ t: "delete_question", text: title || i18n.t("untitled"), yes: "delete" }))) return;
    try {
      await this.#api.delete(id);
      this.#onChanged({ conversation: id, deleted: true });
    } catch (error) {
      this.#notices.refuse(error);
    }
  }
}
