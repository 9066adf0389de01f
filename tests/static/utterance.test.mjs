import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";

import { Channel } from "../../static/js/channel.js";
import { VOICE_EVENTS } from "../../static/js/event_names.js";
import { Turns } from "../../static/js/turns.js";
import { Utterance } from "../../static/js/utterance.js";
import { FakeSocket } from "./fake_socket.mjs";

const EMPTY_SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const sound = (size) => new Uint8Array(size).buffer;
const settled = () => new Promise((resolve) => setImmediate(resolve));

let socket, turns, utterance, changes, outcomes, offset;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [socket, changes, outcomes, offset] = [new FakeSocket(), [], [], 0];
  const channel = new Channel({
    socket,
    events: VOICE_EVENTS,
    onEvent: (name, payload) => (turns.receive(name, payload), utterance.receive(name, payload)),
    onLost: () => utterance.lineLost(),
  });
  turns = new Turns(channel);
  channel.join();
  socket.accept();
  const parts = { channel, turns, wishes: { language: "en", answer: {} } };
  utterance = new Utterance({ ...parts, onChange: ({ kind }) => changes.push(kind), onEnd: (outcome) => outcomes.push(outcome) });
});

const asked = (event) => socket.sent.filter((message) => message.event === event);
const frames = () => asked("voice_frame").map(({ payload }) => [payload.at, payload.pcm.byteLength]);
const begin = (next = 0) => asked("voice_start").at(-1).ack({ ok: true, turn: "t", epoch: 1, offset: 0, next });
const entry = (name, fields) => socket.happen(name, { turn: "t", epoch: 1, offset: (offset += 1), ...fields });

describe("Utterance", () => {
  it("sends what was said before the server began, and the end when all is sent", async () => {
    utterance.push(sound(1_280));
    utterance.push(sound(600));
    utterance.finish();
    assert.deepEqual(frames(), []);
    begin();
    assert.deepEqual(frames(), [[0, 1_280], [1_280, 600]]);
    assert.deepEqual(asked("voice_end")[0].payload, { turn: "t", at: 1_880 });
    const { client_id, ...start } = asked("voice_start")[0].payload;
    assert.equal(client_id.length, 32);
    assert.deepEqual(start, { encoding: "pcm_s16le", rate: 16_000, channels: 1, language: "en", answer: {} });
  });

  it("shows each partial in place of the one before, and appends finals", async () => {
    begin();
    entry("voice_partial", { text: "hel" });
    entry("voice_partial", { text: "hello" });
    assert.deepEqual([utterance.text, utterance.partial], ["", "hello"]);
    entry("voice_final", { text: "Hello.", start_ms: 0, end_ms: 900 });
    entry("voice_partial", { text: " how" });
    assert.deepEqual([utterance.text, utterance.partial], ["Hello.", " how"]);
    entry("voice_answer", { answer: "t2" });
    assert.equal(utterance.stream.answer, "t2");
    assert.deepEqual(changes, ["partial", "partial", "text", "partial", "answer"]);
  });

  it("goes on after a lost line with the same name, from where the server is", async () => {
    begin();
    for (let i = 0; i < 4; i += 1) utterance.push(sound(1_280));
    await settled();
    socket.drop();
    utterance.push(sound(1_280));
    utterance.finish();
    socket.accept();
    utterance.again();
    const [first, second] = asked("voice_start");
    assert.equal(second.payload.client_id, first.payload.client_id);
    begin(2_000);
    assert.deepEqual(frames().slice(4), [[2_000, 560], [2_560, 1_280], [3_840, 1_280], [5_120, 1_280]]);
    assert.deepEqual(asked("voice_end").map(({ payload }) => payload.at), [6_400]);
  });

  it("tells the end again when its line was lost with it", async () => {
    begin();
    utterance.push(sound(1_280));
    utterance.finish();
    socket.drop();
    await settled();
    socket.accept();
    utterance.again();
    begin(1_280);
    assert.equal(asked("voice_end").length, 2);
  });

  it("fills a hole that the server finds at the end", async () => {
    begin();
    utterance.push(sound(1_280));
    utterance.push(sound(1_280));
    utterance.finish();
    asked("voice_end")[0].ack({ ok: true, next: 1_280 });
    await settled();
    await settled();
    assert.deepEqual(frames().at(-1), [1_280, 1_280]);
    assert.equal(asked("voice_end").length, 2);
  });

  it("pauses after an overrun until the next acknowledgement", async () => {
    begin();
    for (let i = 0; i < 3; i += 1) utterance.push(sound(1_280));
    socket.happen("voice_overrun", { turn: "t", next: 1_280 });
    utterance.push(sound(1_280));
    assert.equal(frames().length, 3);
    socket.happen("voice_ack", { turn: "t", next: 1_280 });
    assert.deepEqual(frames().slice(3), [[1_280, 1_280], [2_560, 1_280], [3_840, 1_280]]);
  });

  it("is over when its turn is, with what was heard and what became of it", async () => {
    begin();
    entry("turn_end", { status: "done", length: 0, sha256: EMPTY_SHA, ended_by: "silence" });
    for (let i = 0; i < 5_000 && !outcomes.length; i += 1) await settled(); // the hash of its text is made elsewhere
    assert.deepEqual(outcomes.map(({ text, isAnswered, ending }) => [text, isAnswered, ending.ended_by]), [["", false, "silence"]]);
    utterance.push(sound(1_280));
    assert.deepEqual(frames(), []);
  });

  it("is over when the server refuses it", async () => {
    asked("voice_start")[0].ack({ ok: false, error: { code: "server_busy", message: "Two speak already." } });
    await settled();
    assert.deepEqual(outcomes.map(({ error }) => error.code), ["server_busy"]);
  });

  it("can be forgotten before and after the server has begun", async () => {
    utterance.cancel();
    assert.equal(asked("turn_stop")[0].payload.client_id, asked("voice_start")[0].payload.client_id);
    begin();
    utterance.push(sound(1_280));
    assert.deepEqual(frames(), []);
    assert.deepEqual(outcomes, []);
  });
});
