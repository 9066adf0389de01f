// @ts-check
import { element } from "./element.js";

const LEFT_MS = 4_000; // the last words stay so long

/** @typedef {import("./turn_stream.js").TurnStream} TurnStream */

/** What is being said on another of one's devices, word by word. */
export class Captions {
  #final = element("span");
  #partial = element("span", { className: "captions-partial" });
  element = element("div", { className: "captions", hidden: true, attributes: { role: "status" } }, [
    element("small", { className: "hint", t: "captions_elsewhere" }),
    element("div", { className: "captions-text", attributes: { dir: "auto" } }, [this.#final, this.#partial]),
  ]);
  #turns;
  #channel;
  /** @type {TurnStream | null} */
  #stream = null;
  #unlisten = () => {};
  /** @type {any} */
  #leaving = null;

  /** @param {{turns: import("./turns.js").Turns, channel: import("./channel.js").Channel}} parts */
  constructor({ turns, channel }) {
    this.#turns = turns;
    this.#channel = channel;
  }

  /** Another device has begun to speak. @param {string} turn */
  follow(turn) {
    this.#unlisten();
    clearTimeout(this.#leaving);
    const stream = (this.#stream = this.#turns.follow(turn));
    this.#unlisten = stream.listen(({ kind }) => {
      if (kind === "answer") this.#leaveToOthers(stream.answer);
      if (kind === "end") this.#over();
      else this.#draw(stream);
    });
    this.#draw(stream);
  }

  /** The answer is that device's to read aloud, and this page follows it where all conversations are. @param {string} turn */
  #leaveToOthers(turn) {
    for (const event of ["voice_hush", "turn_detach"]) this.#channel.ask(event, { turn }, undefined, { isLasting: false }).catch(() => {});
  }

  /** @param {TurnStream} stream */
  #draw({ text, partial }) {
    this.#final.textContent = text;
    this.#partial.textContent = partial;
    this.element.hidden = !this.#stream || !(text || partial);
  }

  #over() {
    this.#unlisten();
    this.#stream = null;
    this.#leaving = setTimeout(() => (this.element.hidden = true), LEFT_MS);
  }
}
