import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";

import { Connection } from "../../static/js/connection.js";
import { Turns } from "../../static/js/turns.js";
import { FakeSocket } from "./fake_socket.mjs";

let socket, connection, turns, heard, refused, isUp;
const tick = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [socket, heard, refused] = [new FakeSocket(), [], []];
  connection = new Connection({
    io: () => socket,
    path: "/socket.io/",
    onEvent: (name, payload) => (heard.push(name), turns.receive(name, payload)),
    onState: (value) => (isUp = value),
    onRefused: (error) => refused.push(error.code),
  });
  turns = new Turns(connection);
  connection.open();
});

describe("Connection", () => {
  it("sends what was asked while it was away, and again what was not acknowledged", async () => {
    const asked = connection.ask("turn_start", { client_id: "1" });
    assert.equal(socket.sent.length, 0);
    socket.accept();
    assert.deepEqual(socket.sent.map(({ payload }) => payload.client_id), ["1"]);
    socket.drop();
    mock.timers.tick(1_000);
    socket.accept();
    assert.equal(socket.sent.length, 2);
    socket.sent[1].ack({ ok: true, turn: "t" });
    socket.sent[0].ack({ ok: true, turn: "late" });
    assert.equal((await asked).turn, "t");
  });

  it("hands an acknowledgement over before the events that follow it", () => {
    const order = [];
    socket.accept();
    void connection.ask("turn_attach", {}, () => order.push("ack"));
    socket.sent[0].ack({ ok: true });
    order.push("event");
    assert.deepEqual(order, ["ack", "event"]);
  });

  it("rejects a refusal with its code, and silence as unreachable", async () => {
    socket.accept();
    const refusal = connection.ask("turn_start", {});
    socket.sent[0].ack({ ok: false, error: { code: "quota_exceeded", message: "No." } });
    await assert.rejects(refusal, { code: "quota_exceeded" });
    const silence = assert.rejects(connection.ask("turn_stop", {}), { code: "unreachable" });
    for (let i = 0; i < 5; i += 1) mock.timers.tick(8_000);
    await silence;
  });

  it("comes back by itself, ever more slowly, and at once when woken", () => {
    socket.accept();
    socket.drop();
    assert.equal(isUp, false);
    for (let i = 0; i < 8; i += 1) {
      mock.timers.tick(8_000);
      socket.happen("connect_error", new Error("refused"));
    }
    const { connects } = socket;
    assert.equal(connects, 9);
    connection.wake();
    assert.equal(socket.connects, connects + 1);
  });

  it("notices after a wake-up that the socket is dead", () => {
    socket.accept();
    connection.wake();
    assert.equal(socket.sent[0].event, "sync");
    mock.timers.tick(3_000);
    assert.equal(socket.connects, 2);
  });

  it("does not knock again without a credential", () => {
    socket.happen("connect_error", Object.assign(new Error(), { data: { code: "unauthenticated" } }));
    mock.timers.tick(60_000);
    assert.equal(socket.connects, 1);
    assert.deepEqual(refused, ["unauthenticated"]);
  });
});

describe("Turns", () => {
  const delta = (offset, text) => socket.happen("turn_delta", { turn: "t", epoch: 1, offset, count: 1, kind: "text", text });

  it("follows what it started from the acknowledgement on", async () => {
    socket.accept();
    let stream;
    const started = turns.start("turn_start", { client_id: "1" }, (ack, fresh) => (stream = fresh));
    socket.sent[0].ack({ ok: true, turn: "t", conversation: "c", message: "m", epoch: 1, offset: 0 });
    delta(1, "春");
    await started;
    delta(2, "眠");
    assert.equal(stream.text, "春眠");
  });

  it("attaches every unfinished turn anew after a reconnect, where it left off", async () => {
    socket.accept();
    const stream = turns.follow("t");
    socket.sent[0].ack({ ok: true, turn: "t", status: "running", epoch: 1, offset: 0, from: 0 });
    delta(1, "a");
    socket.drop();
    socket.accept();
    turns.catchUp();
    assert.deepEqual(socket.sent[1].payload, { turn: "t", epoch: 1, after: 1 });
    socket.sent[1].ack({ ok: true, turn: "t", status: "running", epoch: 1, offset: 2, from: 1 });
    delta(2, "b");
    assert.equal(stream.text, "ab");
  });

  it("begins again when the server no longer knows the position", async () => {
    socket.accept();
    const stream = turns.follow("t");
    socket.sent[0].ack({ ok: true, turn: "t", status: "running", epoch: 1, offset: 5, from: 0 });
    delta(1, "lost");
    delta(4, "x");
    socket.sent[1].ack({ ok: false, error: { code: "invalid_request", message: "ahead", field: "after" } });
    await tick();
    assert.deepEqual(socket.sent[2].payload, { turn: "t", epoch: 1, after: 0 });
    socket.sent[2].ack({ ok: true, turn: "t", status: "running", epoch: 1, offset: 1, from: 0 });
    delta(1, "kept");
    assert.equal(stream.text, "kept");
  });

  it("takes a turn whose log has gone for ended, so that the store is asked", async () => {
    socket.accept();
    const stream = turns.follow("t");
    socket.sent[0].ack({ ok: true, turn: "t", status: "done", epoch: 1, offset: 9, from: 9, text: "all of it" });
    assert.equal(stream.text, "all of it");
    assert.equal(stream.ending.status, "done");
    assert.equal(stream.isVerified, false);
  });
});
