import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";

import { Connection } from "../../static/js/connection.js";
import { FakeSocket } from "./fake_socket.mjs";

let sockets, connection, channel, heard, lost;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [sockets, heard, lost] = [{}, [], 0];
  connection = new Connection({
    io: (namespace) => (sockets[namespace] = new FakeSocket()),
    path: "/socket.io/",
    onEvent() {},
    onState() {},
    onRefused() {},
  });
  channel = connection.channel({
    namespace: "/voice",
    events: ["welcome"],
    onEvent: (name) => heard.push(name),
    onLost: () => (lost += 1),
  });
  connection.open();
});

describe("Channel", () => {
  it("joins when the line is up, and is silent where the server does not know it", () => {
    const voice = sockets["/voice"];
    assert.equal(voice.connects, 0);
    sockets["/text"].accept();
    assert.equal(voice.connects, 1);
    voice.refuse({ code: "not_found", message: "There is no such namespace." });
    mock.timers.tick(60_000);
    assert.equal(voice.connects, 1);
    assert.deepEqual(heard, []);
    sockets["/text"].drop();
    sockets["/text"].accept(); // perhaps another server, which does
    assert.equal(voice.connects, 2);
    voice.accept();
    voice.happen("welcome", {});
    assert.deepEqual(heard, ["welcome"]);
  });

  it("knocks again where the server was only busy", () => {
    sockets["/text"].accept();
    sockets["/voice"].refuse({ code: "server_busy", message: "Later.", retryable: true });
    mock.timers.tick(5_000);
    assert.equal(sockets["/voice"].connects, 2);
  });

  it("leaves the joining to socket.io after a lost line, which keeps its place", () => {
    sockets["/text"].accept();
    sockets["/voice"].accept();
    for (const socket of Object.values(sockets)) socket.drop();
    assert.equal(lost, 1);
    sockets["/text"].accept();
    assert.equal(sockets["/voice"].connects, 1); // `active`: joined with the line, a second packet would be refused
  });

  it("refuses at once, on a lost line, what must not be repeated by itself", async () => {
    sockets["/text"].accept();
    sockets["/voice"].accept();
    const lasting = channel.ask("voice_start", {});
    const once = assert.rejects(channel.ask("voice_end", {}, undefined, { isLasting: false }), { code: "unreachable" });
    sockets["/voice"].drop();
    await once;
    sockets["/voice"].accept();
    const [, , again] = sockets["/voice"].sent;
    assert.equal(again.event, "voice_start");
    again.ack({ ok: true, turn: "t" });
    assert.equal((await lasting).turn, "t");
  });

  it("lets the whole line go when a wake-up finds it dead", () => {
    sockets["/text"].accept();
    sockets["/voice"].accept();
    connection.wake();
    mock.timers.tick(3_000);
    assert.equal(sockets["/voice"].connected, false);
    assert.equal(sockets["/text"].connects, 2);
  });
});
