// @ts-check
import { Announcer } from "./announcer.js";
import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { ConversationMenu } from "./conversation_menu.js";
import { ConversationView } from "./conversation_view.js";
import { drawingTools } from "./drawing_tools.js";
import { i18n } from "./i18n.js";
import { ModelPicker } from "./model_picker.js";
import { Notices } from "./notices.js";
import { Person } from "./person.js";
import { Pictures } from "./pictures.js";
import { Shell } from "./shell.js";
import { Sidebar } from "./sidebar.js";
import { Speaking } from "./speaking.js";
import { Turns } from "./turns.js";
import { io } from "./vendor.js";

const AGAIN_MS = 3_000;
const BASE = new URL("./", document.baseURI);

/** @template {HTMLElement} T @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));

/** Builds the parts of the page and lets them know of each other; has no logic of its own beyond that. */
export class App {
  #api = new Api(BASE.href);
  #notices = new Notices(byId("notices"));
  #announcer = new Announcer(byId("announcements"));
  #models = new ModelPicker(byId("model"), () => this.#pictures.update());
  #person = new Person({ api: this.#api, notices: this.#notices, button: byId("person") });
  #connection = new Connection({
    io,
    path: new URL("socket.io/", BASE).pathname,
    onEvent: (name, payload) => this.#heard(name, payload),
    onState: (isUp) => this.#shell.online(isUp),
    onRefused: (error) => this.#refused(error),
  });
  #turns = new Turns(this.#connection);
  #isFirst = true;
  #conversation = new Conversation({
    api: this.#api,
    turns: this.#turns,
    onChange: () => this.#show(),
    onOpened: (id) => this.#opened(id),
    onEnded: (message) => this.#announcer.ended(message),
  });
  #tools = drawingTools();
  #view = new ConversationView({
    scroller: byId("scroller"),
    list: byId("messages"),
    empty: byId("empty"),
    toEnd: byId("to-end"),
    conversation: this.#conversation,
    tools: this.#tools,
    model: () => this.#models.model?.id,
    address: (picture) => this.#api.pictureAddress(picture),
    onSuggestion: (text) => this.#composer.fill(text),
  });
  /** @type {Composer} */
  #composer = new Composer({
    form: byId("composer"),
    maySend: () => this.#pictures.mayGo(),
    onSend: (text) => this.#send(text),
    onStop: () => this.#stop(),
  });
  /** @type {Pictures} */
  #pictures = new Pictures({
    connection: this.#connection,
    notices: this.#notices,
    announcer: this.#announcer,
    tools: this.#tools,
    button: byId("picture"),
    host: byId("tray"),
    area: byId("main"),
    models: this.#models,
    address: (picture) => this.#api.pictureAddress(picture),
    written: () => this.#composer.text,
    onText: (text) => this.#composer.add(text),
  });
  #speaking = new Speaking({
    connection: this.#connection,
    notices: this.#notices,
    announcer: this.#announcer,
    button: byId("talk"),
    host: byId("hearing"),
    answer: () => this.#spoken(),
    isBusy: () => this.#conversation.running !== undefined,
    onInterrupt: () => this.#stop(),
    onAnswer: (turn) => void this.#answered(turn),
    onReading: () => this.#show(),
    onUnheard: (turn, chars) => this.#conversation.heard(turn, chars),
    onText: (text) => this.#composer.add(text),
  });
  #sidebar = new Sidebar({
    api: this.#api,
    notices: this.#notices,
    list: byId("conversations"),
    search: byId("search"),
    onMenu: (anchor, info, item) => this.#acts.open(anchor, info, item),
  });
  #acts = new ConversationMenu({
    api: this.#api,
    notices: this.#notices,
    onChanged: (change) => this.#changed(change),
  });
  #shell = new Shell({
    onNew: () => this.#go(null),
    onStop: () => {
      this.#speaking.hush();
      if (this.#speaking.isOn) this.#speaking.cancel();
      else this.#stop();
    },
    onWrite: () => this.#composer.focus(),
    onWake: () => this.#connection.wake(),
    onMenu: (anchor) => this.#menu(anchor),
  });

  async start() {
    i18n.recall();
    i18n.show();
    byId("app").hidden = false;
    addEventListener("hashchange", () => void this.#route());
    this.#show();
    await this.#signIn();
  }

  async #signIn() {
    try {
      if (!(await this.#person.enter())) return; // asked to sign in, which loads the page anew
    } catch (error) {
      this.#notices.refuse(error);
      setTimeout(() => void this.#signIn(), AGAIN_MS);
      return;
    }
    this.#connection.open();
    void this.#sidebar.load();
    await this.#route();
    this.#composer.offer();
  }

  /** @param {import("./types.js").WireError} error */
  #refused(error) {
    if (error.code !== "unauthenticated") return this.#notices.refuse({ error });
    setTimeout(() => void this.#signIn(), AGAIN_MS); // the session has ended: come in again
  }

  /** Show the conversation the address names. */
  async #route() {
    const id = new URLSearchParams(location.hash.slice(1)).get("c");
    if (id !== null && id === this.#conversation.id) return;
    this.#composer.belongTo(id);
    this.#sidebar.current = id;
    if (id === null) return this.#conversation.begin();
    try {
      await this.#conversation.open(id);
      this.#view.drawNow();
    } catch (error) {
      this.#notices.refuse(error);
      if (/** @type {any} */ (error).code === "not_found") this.#gone(id);
    }
  }

  /** @param {string | null} id */
  #go(id) {
    this.#shell.closeDrawer();
    if (id === null && !location.hash) this.#conversation.begin();
    location.hash = id === null ? "" : `c=${encodeURIComponent(id)}`;
    this.#composer.offer();
  }

  /** @param {string} id A conversation that began here. */
  #opened(id) {
    history.replaceState(null, "", `#c=${encodeURIComponent(id)}`);
    this.#sidebar.current = id;
  }

  /** @param {string} id */
  #gone(id) {
    if (this.#conversation.id === id) this.#go(null);
  }

  /** @param {string} text */
  #send(text) {
    this.#speaking.hush();
    this.#announcer.say(i18n.t("announce_started"));
    void this.#conversation.send({ text, model: this.#models.model?.id, pictures: this.#pictures.ids });
    this.#pictures.clear();
    this.#view.follow();
  }

  /** Where what is said is answered. With pictures it is sent from the message box, as speech takes none along. */
  #spoken() {
    if (!this.#pictures.isEmpty) return null;
    return { conversation: this.#conversation.id ?? undefined, model: this.#models.model?.id };
  }

  /** What was said is a question now: show it where it was asked, unless the reader has gone elsewhere. @param {string} turn */
  async #answered(turn) {
    this.#announcer.say(i18n.t("announce_started"));
    try {
      const { running } = await this.#connection.ask("sync");
      const conversation = running.find((/** @type {{turn: string}} */ { turn: id }) => id === turn)?.conversation;
      const id = conversation ?? (await this.#api.conversations()).conversations[0]?.id; // a short answer has ended already
      if (this.#conversation.id === null && id) this.#go(id);
      else await this.#conversation.refresh();
      this.#view.follow();
    } catch (error) {
      this.#notices.refuse(error);
    }
  }

  #stop() {
    this.#speaking.hush();
    if (this.#conversation.running) this.#conversation.stop().catch((error) => this.#notices.refuse(error));
  }

  /** @param {HTMLElement} anchor */
  #menu(anchor) {
    const { id, title } = this.#conversation;
    if (id) this.#acts.open(anchor, { id, title }, this.#sidebar.item(id));
  }

  /** @param {{conversation: string, title?: string, deleted?: boolean}} change Made here; other devices hear of it from the server. */
  #changed(change) {
    this.#sidebar.changed(change);
    if (change.deleted) this.#gone(change.conversation);
  }

  #show() {
    const { id, title, running } = this.#conversation;
    this.#view.update();
    this.#composer.busy = running !== undefined || this.#speaking.isReading;
    this.#shell.title = id ? title || i18n.t("untitled") : "";
  }

  /** @param {string} name @param {any} payload */
  #heard(name, payload) {
    if (name === "welcome") return this.#welcomed(payload);
    if (name === "quota_changed") return void (this.#person.quota = payload);
    if (name !== "conversation_changed") return this.#turns.receive(name, payload);
    this.#changed(payload);
    void this.#markRunning();
    if (!payload.deleted) this.#conversation.changed(payload)?.catch((error) => this.#notices.refuse(error));
  }

  /** A new socket: whatever was followed is followed on, and what happened meanwhile is fetched. */
  #welcomed(/** @type {import("./types.js").Welcome} */ { user, quota, models, limits }) {
    const isAnother = !this.#isFirst && user.id !== this.#person.user.id;
    this.#person.user = user;
    this.#person.quota = quota;
    this.#models.models = models;
    this.#pictures.update();
    if (limits.text) this.#composer.maxChars = limits.text;
    this.#turns.catchUp();
    void this.#markRunning();
    if (isAnother) this.#go(null);
    else if (!this.#isFirst) this.#conversation.refresh().catch(() => {}); // gone, or offline again: the next event tells
    if (!this.#isFirst) void this.#sidebar.load();
    this.#isFirst = false;
  }

  /** A dot in the list for every conversation in which an answer is being written, on whichever device. */
  async #markRunning() {
    const { running } = await this.#connection.ask("sync").catch(() => ({ running: [] }));
    this.#sidebar.running = new Set(running.map((/** @type {{conversation: string}} */ turn) => turn.conversation));
  }
}
