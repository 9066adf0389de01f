// @ts-check
import { BYTES_PER_SECOND } from "./pcm_framer.js";

const WINDOW_BYTES = 1.5 * BYTES_PER_SECOND; // the server keeps 2 s that are not heard yet; beyond them it refuses
const MAX_KEPT_BYTES = 180 * BYTES_PER_SECOND;

/**
 * The recorded bytes that the server has not taken yet, and which of them to send now. Every byte has its place, so
 * that a lost line, a hole and an overrun are one case: go on from `next`. Pure: no socket, no clock.
 */
export class SpeechSender {
  /** The first byte the server has not taken. */
  next = 0;
  /** Bytes recorded so far. */
  total = 0;
  #sent = 0;
  #isOpen = false;
  /** @type {{at: number, pcm: ArrayBuffer}[]} */
  #kept = [];
  #send;

  /** @param {(at: number, pcm: ArrayBuffer) => boolean} send False when the line is down. */
  constructor(send) {
    this.#send = send;
  }

  /** Everything recorded is on its way. */
  get isAllSent() {
    return this.#isOpen && this.#sent === this.total;
  }

  /**
   * @param {ArrayBuffer} pcm
   * @returns {boolean} False when it cannot be kept any more: the line has been away too long.
   */
  push(pcm) {
    if (this.total - this.next + pcm.byteLength > MAX_KEPT_BYTES) return false;
    this.#kept.push({ at: this.total, pcm });
    this.total += pcm.byteLength;
    this.#pump();
    return true;
  }

  /** The server knows the turn, for the first time or again. @param {number} next */
  open(next) {
    this.#isOpen = true;
    this.goBack(next);
  }

  /** Nothing more is sent until `open`. */
  close() {
    this.#isOpen = false;
  }

  /** The server has taken everything before `next`. @param {number} next */
  acknowledged(next) {
    this.#drop(next);
    this.#sent = Math.max(this.#sent, this.next);
    this.#pump();
  }

  /** Send again from `next`: what came after it was refused or got lost. @param {number} next */
  goBack(next) {
    this.#drop(next);
    this.#sent = this.next;
    this.#pump();
  }

  /** @param {number} next */
  #drop(next) {
    if (next <= this.next || next > this.total) return;
    this.next = next;
    while (this.#kept.length && this.#kept[0].at + this.#kept[0].pcm.byteLength <= next) this.#kept.shift();
  }

  #pump() {
    if (!this.#isOpen) return;
    for (const { at, pcm } of this.#kept) {
      const end = at + pcm.byteLength;
      if (end <= this.#sent) continue;
      if (end - this.next > WINDOW_BYTES && this.#sent > this.next) return;
      const skip = Math.max(0, this.#sent - at);
      if (!this.#send(at + skip, skip ? pcm.slice(skip) : pcm)) return this.close();
      this.#sent = end;
    }
  }
}
