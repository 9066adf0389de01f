import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import { Conversation } from "../../static/js/conversation.js";
import { TurnStream } from "../../static/js/turn_stream.js";

const message = (id, parent, created_ms, role, more = {}) => ({ id, parent, created_ms, role, text: id, ...more });

let store, requests, conversation, opened, ended, stopped, streams;

/** The one request under way, answered by the test. */
const turns = {
  start: (event, request, onStarted) =>
    new Promise((resolve, reject) => {
      const start = (ack) => {
        onStarted(ack, streams(ack.turn));
        resolve();
      };
      requests.push({ event, request, start, refuse: (code) => reject(Object.assign(new Error(), { error: { code } })) });
    }),
  follow: (turn) => streams(turn),
  stop: async (which) => void stopped.push(which),
  detachAll: () => {},
};
const api = {
  conversation: async (id) => ({ id, title: store.title, head: store.messages.at(-1)?.id ?? null, version: store.version }),
  messages: async () => structuredClone(store.messages),
};

beforeEach(() => {
  store = { title: "", version: 1, messages: [] };
  [requests, opened, ended, stopped] = [[], [], [], []];
  const known = new Map();
  streams = (turn) => known.get(turn) ?? known.set(turn, new TurnStream({ turn, attach: () => {}, digest: async () => "sha" })).get(turn);
  conversation = new Conversation({
    api,
    turns,
    onChange: () => {},
    onOpened: (id) => opened.push(id),
    onEnded: ({ status }) => ended.push(status),
  });
});

const shown = () => conversation.tree.path().map(({ id }) => id);
const delta = (turn, text) => streams(turn).receive("turn_delta", { epoch: 1, offset: streams(turn).last + 1, count: 1, kind: "text", text });
const end = async (turn, status = "done") => {
  const { last, text } = streams(turn);
  const over = new Promise((resolve) => streams(turn).listen(({ kind }) => kind === "end" && resolve()));
  streams(turn).receive("turn_end", { epoch: 1, offset: last + 1, status, length: [...text].length, sha256: "sha" });
  await over;
};

describe("Conversation", () => {
  it("grows from nothing, in step with the store", async () => {
    void conversation.send({ text: "hi", model: "demo" });
    assert.deepEqual(requests[0].request, { ...requests[0].request, text: "hi", model: "demo" });
    assert.ok(!("parent" in requests[0].request) && !("conversation" in requests[0].request));
    assert.ok(conversation.running);
    requests[0].start({ turn: "t1", conversation: "c", message: "a1", epoch: 1, offset: 0 });
    assert.deepEqual(opened, ["c"]);
    delta("t1", "hello");
    store = { title: "Hi", version: 2, messages: [message("q1", null, 1, "user", { text: "hi" }), message("a1", "q1", 2, "assistant", { status: "running", turn: "t1", text: "" })] };
    await conversation.changed({ conversation: "c", version: 2 });
    assert.deepEqual(shown(), ["q1", "a1"]);
    assert.equal(conversation.title, "Hi");
    await end("t1");
    assert.equal(conversation.tree.get("a1").text, "hello");
    assert.equal(conversation.running, undefined);
    assert.deepEqual(ended, ["done"]);

    void conversation.send({ text: "more" });
    assert.equal(requests[1].request.parent, "a1");
    assert.equal(requests[1].request.conversation, "c");
  });

  it("shows nothing twice when the store is faster than the acknowledgement", async () => {
    store = { title: "", version: 2, messages: [message("q1", null, 1, "user"), message("a1", "q1", 2, "assistant", { status: "done" })] };
    await conversation.open("c");
    void conversation.send({ text: "more" });
    store.messages.push(message("q2", "a1", 3, "user"), message("a2", "q2", 4, "assistant", { status: "running", turn: "t2" }));
    await conversation.changed({ conversation: "c", version: 3 });
    requests[0].start({ turn: "t2", conversation: "c", message: "a2", epoch: 1, offset: 0 });
    assert.deepEqual(shown(), ["q1", "a1", "q2", "a2"]);
    assert.equal(conversation.tree.all().length, 4);
    await end("t2");
    assert.deepEqual(ended, ["done"], "one ending, though two roads led to the stream");
  });

  it("stops by the client's own id before the acknowledgement, by the turn's after it", async () => {
    void conversation.send({ text: "hi" });
    await conversation.stop();
    assert.deepEqual(stopped, [{ client_id: requests[0].request.client_id }]);
    requests[0].start({ turn: "t1", conversation: "c", message: "a1", epoch: 1, offset: 0 });
    await conversation.stop();
    assert.deepEqual(stopped[1], { turn: "t1" });
  });

  it("keeps a question that was refused, and sends it again on request", async () => {
    const sent = conversation.send({ text: "hi" });
    requests[0].refuse("rate_limited");
    await sent;
    const answer = conversation.tree.leaf;
    assert.equal(answer.error.code, "rate_limited");
    void conversation.regenerate(answer);
    assert.equal(requests[1].event, "turn_start");
    assert.equal(requests[1].request.text, "hi");
    assert.notEqual(requests[1].request.client_id, requests[0].request.client_id);
    assert.equal(conversation.tree.all().length, 2);
  });

  it("names the conversation as parent when the very first message is said differently", async () => {
    store.messages = [message("q1", "c", 1, "user"), message("a1", "q1", 2, "assistant", { status: "done" })];
    await conversation.open("c");
    void conversation.edit(conversation.tree.get("q1"), "otherwise");
    assert.deepEqual(requests[0].request, { ...requests[0].request, text: "otherwise", parent: "c", conversation: "c" });
    assert.equal(conversation.tree.path()[0].text, "otherwise");
  });

  it("follows what another device started, and forgets it when the reader goes elsewhere", async () => {
    store.messages = [message("q1", null, 1, "user"), message("a1", "q1", 2, "assistant", { status: "running", turn: "t1", text: "" })];
    await conversation.open("c");
    delta("t1", "from afar");
    assert.equal(conversation.running.stream.text, "from afar");
    conversation.begin();
    await end("t1");
    assert.deepEqual(ended, []);
    assert.deepEqual(shown(), []);
  });

  it("ignores what is old news", async () => {
    store = { title: "one", version: 5, messages: [] };
    await conversation.open("c");
    store.title = "two";
    assert.equal(conversation.changed({ conversation: "c", version: 5 }), undefined);
    assert.equal(conversation.changed({ conversation: "other", version: 9 }), undefined);
    await conversation.changed({ conversation: "c", version: 6 });
    assert.equal(conversation.title, "two");
  });
});
