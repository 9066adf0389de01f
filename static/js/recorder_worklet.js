// @ts-check
import { PcmFramer, RATE_HZ } from "./pcm_framer.js";
import { Resampler } from "./resampler.js";

const { AudioWorkletProcessor, registerProcessor, sampleRate } = /** @type {any} */ (globalThis);

/** In the audio thread: whatever the microphone gives becomes 16 kHz mono frames. Told `stop`, it hands out the rest. */
class Recorder extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE_HZ);
  #framer = new PcmFramer();
  #isStopped = false;

  constructor() {
    super();
    this.port.onmessage = () => this.#stop();
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (this.#isStopped) return false;
    if (channels?.length) this.#give(this.#framer.push(this.#resampler.push(mono(channels))));
    return true;
  }

  #stop() {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#give([...this.#framer.push(this.#resampler.flush()), ...this.#framer.flush()]);
    this.port.postMessage(null);
  }

  /** @param {import("./pcm_framer.js").Frame[]} frames */
  #give(frames) {
    for (const frame of frames) this.port.postMessage(frame, [frame.pcm]);
  }
}

/** @param {Float32Array[]} channels */
function mono(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

registerProcessor("recorder", Recorder);
