// @ts-check

const WORKLET = new URL("./recorder_worklet.js", import.meta.url).href;

/** Why there is no sound: `insecure`, `denied`, `missing` or `busy`. */
export class MicrophoneError extends Error {
  /** @param {"insecure" | "denied" | "missing" | "busy"} why @param {unknown} [cause] */
  constructor(why, cause) {
    super(`no microphone: ${why}`, { cause });
    this.why = why;
  }
}

/** The microphone, open for as long as it is needed and no longer: the browser shows that it listens. */
export class Microphone {
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AudioWorkletNode | null} */
  #node = null;
  /** Another object for each opening, null when closed. @type {object | null} */
  #wanted = null;

  /**
   * @param {(frame: import("./pcm_framer.js").Frame) => void} onFrame
   * @param {() => void} onGone It was unplugged, or its permission was taken back.
   * @returns {Promise<boolean>} False when it was closed meanwhile.
   */
  async open(onFrame, onGone) {
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) throw new MicrophoneError("insecure");
    const wanted = (this.#wanted = {});
    /** @type {MediaStream | null} */
    let stream = null;
    /** @type {AudioContext | null} */
    let context = null;
    try {
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
      context = new AudioContext();
      await context.audioWorklet.addModule(WORKLET);
      if (context.state === "suspended") await context.resume();
    } catch (error) {
      release(stream, context);
      if (wanted === this.#wanted) throw new MicrophoneError(reason(error), error);
    }
    if (wanted !== this.#wanted || !stream || !context) {
      release(stream, context);
      return false;
    }
    this.#stream = stream;
    this.#context = context;
    for (const track of this.#stream.getTracks()) track.addEventListener("ended", onGone);
    this.#node = new AudioWorkletNode(this.#context, "recorder", { numberOfInputs: 1, numberOfOutputs: 1 });
    this.#node.port.onmessage = ({ data }) => data && onFrame(data);
    this.#context.createMediaStreamSource(this.#stream).connect(this.#node);
    this.#node.connect(this.#context.destination); // what leads nowhere is not run; it says nothing
    return true;
  }

  /** Close it; what was recorded until now still comes as frames before this resolves. */
  async close() {
    this.#wanted = null;
    const node = this.#node;
    this.#node = null;
    if (node && this.#context?.state === "running") await lastFrames(node);
    release(this.#stream, this.#context);
    this.#stream = null;
    this.#context = null;
  }
}

/** @param {MediaStream | null} stream @param {AudioContext | null} context */
function release(stream, context) {
  for (const track of stream?.getTracks() ?? []) track.stop();
  if (context && context.state !== "closed") void context.close();
}

const LAST_MS = 500; // an audio thread that was frozen with its page says nothing any more

/** @param {AudioWorkletNode} node */
function lastFrames(node) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      node.port.addEventListener("message", ({ data }) => data === null && resolve());
      node.port.postMessage("stop");
      setTimeout(resolve, LAST_MS);
    })
  );
}

/** @param {any} error */
function reason({ name }) {
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "missing";
  return "busy";
}
