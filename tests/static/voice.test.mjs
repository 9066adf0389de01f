import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";

import { Channel } from "../../static/js/channel.js";
import { VOICE_EVENTS } from "../../static/js/event_names.js";
import { MicrophoneError } from "../../static/js/microphone.js";
import { Turns } from "../../static/js/turns.js";
import { Voice } from "../../static/js/voice.js";
import { FakeSocket } from "./fake_socket.mjs";

const LOUD = 0.2;
const QUIET = 0.001;
const EMPTY_SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const settled = async () => {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A microphone that hears what the test says. */
class FakeMicrophone {
  isOpen = false;
  fault = null;
  async open(onFrame, onGone) {
    if (this.fault) throw this.fault;
    this.isOpen = true;
    Object.assign(this, { onFrame, onGone });
    return true;
  }
  async close() {
    this.isOpen = false;
  }
  hear(count, level) {
    for (let i = 0; i < count; i += 1) this.onFrame({ pcm: new ArrayBuffer(1_280), level });
  }
}

let microphone, socket, turns, voice, isBusy, interrupts, refused, outcomes;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [microphone, socket, isBusy, interrupts, refused, outcomes] = [new FakeMicrophone(), new FakeSocket(), false, 0, [], []];
  const onEvent = (name, payload) => (turns.receive(name, payload), voice.receive(name, payload));
  const channel = new Channel({ socket, events: VOICE_EVENTS, onEvent, onLost: () => voice.lineLost() });
  turns = new Turns(channel);
  channel.join();
  socket.accept();
  voice = new Voice({
    microphone,
    channel,
    turns,
    wishes: () => ({}),
    isBusy: () => isBusy,
    onInterrupt: () => (interrupts += 1),
    onChange() {},
    onAnswer() {},
    onHeard: (outcome) => outcomes.push(outcome),
    onRefused: (why) => refused.push(why),
  });
});

const asked = (event) => socket.sent.filter((message) => message.event === event);

/** The server begins the newest utterance, takes all that was sent of it, and ends it. */
async function serve(turn) {
  asked("voice_start").at(-1).ack({ ok: true, turn, epoch: 1, offset: 0, next: 0 });
  await settled();
}
function take(turn) {
  for (let i = 0; i < 4; i += 1) {
    const { at, pcm } = asked("voice_frame").findLast(({ payload }) => payload.turn === turn).payload;
    socket.happen("voice_ack", { turn, next: at + pcm.byteLength });
  }
}
/** ... and closes it: the hash of its text is made elsewhere, which takes as long as it takes. */
async function end(turn) {
  const before = outcomes.length;
  socket.happen("turn_end", { turn, epoch: 1, offset: 1, status: "done", length: 0, sha256: EMPTY_SHA });
  await settled();
  for (let i = 0; i < 1_000 && outcomes.length === before; i += 1) await settled();
}

describe("Voice", () => {
  it("takes everything from the press to the release as one utterance, pauses included", async () => {
    voice.press();
    await settled();
    microphone.hear(5, QUIET);
    assert.equal(asked("voice_start").length, 0); // it may yet be a short press
    mock.timers.tick(300);
    assert.equal(voice.phase, "held");
    await serve("t1");
    microphone.hear(100, QUIET);
    voice.release();
    await settled();
    assert.equal(microphone.isOpen, false);
    assert.equal(asked("voice_start").length, 1);
    take("t1");
    assert.equal(asked("voice_end")[0].payload.at, 105 * 1_280);
  });

  it("listens on after a short press, and divides what is said by its pauses", async () => {
    voice.press();
    voice.release();
    await settled();
    microphone.hear(40, QUIET);
    assert.equal(voice.phase, "free");
    assert.equal(asked("voice_start").length, 0);
    for (const turn of ["t1", "t2"]) {
      microphone.hear(20, LOUD);
      await serve(turn);
      microphone.hear(40, QUIET);
      take(turn);
      assert.equal(asked("voice_end").length, Number(turn[1]));
      microphone.hear(20, LOUD); // what was said is still being written down
      await end(turn);
      microphone.hear(40, QUIET);
    }
    assert.equal(asked("voice_start").length, 2);
    assert.equal(outcomes.length, 2);
    assert.equal(microphone.isOpen, true);
    voice.press();
    await settled();
    assert.deepEqual([voice.phase, microphone.isOpen], ["off", false]);
  });

  it("does not take an answer's noise for a question, but a press on purpose interrupts it", async () => {
    isBusy = true;
    voice.press();
    voice.release();
    await settled();
    microphone.hear(100, LOUD);
    assert.equal(asked("voice_start").length, 0);
    assert.equal(voice.isWaiting, true);
    voice.press();
    await settled();
    voice.press();
    await settled();
    microphone.hear(2, QUIET);
    mock.timers.tick(300);
    assert.equal(interrupts, 1);
    assert.equal(asked("voice_start").length, 1);
  });

  it("forgets what was said, and lets the microphone go", async () => {
    voice.press();
    await settled();
    microphone.hear(1, LOUD);
    mock.timers.tick(300);
    await serve("t1");
    await voice.cancel();
    assert.equal(asked("voice_cancel").length, 1);
    assert.deepEqual([voice.phase, voice.utterance, microphone.isOpen], ["off", null, false]);
    await end("t1");
    assert.deepEqual(outcomes, []);
  });

  it("says why there is no microphone, when it goes, and when nobody speaks", async () => {
    microphone.fault = new MicrophoneError("denied");
    voice.press();
    await settled();
    microphone.fault = null;
    voice.release();
    voice.press();
    voice.release();
    await settled();
    microphone.hear(1, QUIET);
    mock.timers.tick(90_000);
    await settled();
    voice.press();
    await settled();
    microphone.onGone();
    await settled();
    assert.deepEqual(refused, ["denied", "idle", "gone"]);
    assert.equal(microphone.isOpen, false);
  });

  it("stops when the server ends the utterance while the button is down", async () => {
    voice.press();
    await settled();
    microphone.hear(1, LOUD);
    mock.timers.tick(300);
    await serve("t1");
    await end("t1");
    assert.deepEqual([voice.phase, microphone.isOpen], ["off", false]);
    assert.equal(outcomes.length, 1);
  });
});
