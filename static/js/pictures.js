// @ts-check
import { openDrawing } from "./drawing_dialog.js";
import { PICTURE_EVENTS } from "./event_names.js";
import { openMenu } from "./menu.js";
import { chooseFiles, takeIn } from "./picture_intake.js";
import { PictureTray } from "./picture_tray.js";
import { openReading } from "./reading_dialog.js";
import { Turns } from "./turns.js";

/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {import("./reading_dialog.js").Reader} Reader */

const KINDS = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"];
const MOST_BYTES = 10 * 1_048_576;
const MOST_PICTURES = 8; // of one question

/** Pictures on the page: their button and their tray, there as soon as the server offers `/picture`. */
export class Pictures {
  #parts;
  #channel;
  #turns;
  #tray;
  /** @type {Reader[]} */
  #readers = [];
  /** @type {import("./drawing_dialog.js").Painter[]} */
  #painters = [];
  #isAsked = false;

  /**
   * @param {Object} parts
   * @param {import("./connection.js").Connection} parts.connection
   * @param {import("./notices.js").Notices} parts.notices
   * @param {import("./announcer.js").Announcer} parts.announcer
   * @param {import("./markdown_view.js").Tools} parts.tools
   * @param {HTMLButtonElement} parts.button
   * @param {HTMLElement} parts.host Where they lie beside the message box.
   * @param {HTMLElement} parts.area Where they may be dropped.
   * @param {import("./model_picker.js").ModelPicker} parts.models
   * @param {(picture: string) => string} parts.address
   * @param {() => string} parts.written What stands in the message box.
   * @param {(text: string) => void} parts.onText Words for the message box.
   */
  constructor(parts) {
    this.#parts = parts;
    this.#channel = parts.connection.channel({
      namespace: "/picture",
      events: PICTURE_EVENTS,
      onEvent: (name, payload) => this.#heard(name, payload),
    });
    this.#turns = new Turns(this.#channel);
    this.#tray = new PictureTray({
      host: parts.host,
      ask: (event, payload) => this.#channel.ask(event, payload),
      canRead: (task) => this.#readersFor(task).length > 0,
      onRead: (task, item) => this.#read(task, item),
      onChange: () => this.#check(),
      onLeft: () => parts.button.focus(),
      onRefused: (error) => parts.notices.refuse(error, "picture"),
    });
    parts.button.addEventListener("click", () => this.#open());
    takeIn(parts.area, (files) => this.#take(files), () => !parts.button.hidden);
  }

  get isEmpty() {
    return !this.#tray.count;
  }

  /** For the next question. */
  get ids() {
    return this.#tray.pictures.map(({ id }) => id);
  }

  /** Whether a question may be sent with what lies here; if not, the tray says why. */
  mayGo() {
    this.#isAsked = true;
    return !this.#check();
  }

  /** They have been sent. */
  clear() {
    this.#isAsked = false;
    this.#tray.clear();
  }

  /** Another model was picked. */
  update() {
    this.#check();
  }

  /** @param {"ocr" | "describe"} task */
  #readersFor(task) {
    return this.#readers.filter(({ tasks }) => tasks.includes(task));
  }

  /** @param {string} name @param {any} payload */
  #heard(name, payload) {
    if (name !== "welcome") return this.#turns.receive(name, payload);
    const isThere = (/** @type {{available: boolean}} */ { available }) => available;
    this.#readers = payload.readers.filter(isThere);
    this.#painters = payload.painters.filter(isThere);
    this.#parts.button.hidden = false;
    this.#turns.catchUp();
  }

  #open() {
    const isPhone = matchMedia("(hover: none)").matches;
    const onFiles = (/** @type {File[]} */ files) => this.#take(files);
    openMenu(this.#parts.button, [
      { t: "picture_choose", icon: "picture", onSelect: () => chooseFiles({ isCamera: false, onFiles }) },
      ...(isPhone ? [{ t: "picture_photograph", icon: "camera", onSelect: () => chooseFiles({ isCamera: true, onFiles }) }] : []),
      ...(this.#painters.length ? [{ t: "picture_draw", icon: "brush", onSelect: () => this.#draw() }] : []),
    ]);
  }

  /** @param {File[]} files */
  #take(files) {
    for (const file of files) {
      const error = faultOf(file) ?? (this.#tray.count >= MOST_PICTURES ? "too_many" : null);
      if (error) this.#parts.notices.refuse({ error: { code: error, message: "" } }, "picture");
      else void this.#tray.add(file);
    }
  }

  /** @param {"ocr" | "describe"} task @param {{src: string, name: string, picture: Picture}} item */
  #read(task, item) {
    const { tools, announcer, onText } = this.#parts;
    const onUse = (/** @type {string} */ text) => {
      this.#tray.remove(item);
      onText(text);
    };
    openReading({ task, item, readers: this.#readersFor(task), turns: this.#turns, tools, announcer, onUse });
  }

  #draw() {
    const { announcer, address, written, models } = this.#parts;
    openDrawing({
      turns: this.#turns,
      painters: this.#painters,
      prompt: written(),
      address: ({ id }) => address(id),
      announcer,
      onUse: models.canSee ? (picture, name) => this.#tray.addStored(picture, { src: address(picture.id), name }) : null,
    });
  }

  /** What keeps the pictures from being sent with a question; said once the reader has tried to. */
  #check() {
    const { model, canSee } = this.#parts.models;
    let word = "";
    if (this.#tray.count && !model?.vision) word = canSee ? "picture_unseen" : "picture_unseen_by_all";
    else if (!this.#tray.isReady) word = "picture_wait";
    this.#tray.warn(this.#isAsked ? word : "", { model: model?.name ?? "" });
    return word;
  }
}

/** @param {File} file @returns {string | null} */
function faultOf({ type, size }) {
  if (!KINDS.includes(type)) return "unsupported_media";
  return size > MOST_BYTES ? "too_large" : null;
}
