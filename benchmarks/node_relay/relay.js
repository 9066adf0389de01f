// The bare peer: vendor's server-sent events in, one Socket.IO `turn_delta` a piece out; sound in, its bytes counted.
// No log, no database, no users.
import { createServer, request } from "node:http";
import { randomUUID } from "node:crypto";
import { Server } from "socket.io";

const vendor = new URL(`${process.env.OPENAI_BASE_URL}/chat/completions`);
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });

io.of("/text").on("connection", (socket) => {
  socket.emit("welcome", { protocol: 1, user: { id: socket.id, name: "guest", guest: true } });
  socket.on("turn_start", (start, ack) => {
    const turn = randomUUID();
    ack({ ok: true, turn, epoch: 1, offset: 0 });
    relay(socket, turn, start);
  });
});

io.of("/voice").on("connection", (socket) => {
  const sessions = new Map();
  socket.emit("welcome", { protocol: 1, user: { id: socket.id, name: "guest", guest: true } });
  socket.on("voice_start", (start, ack) => {
    const turn = randomUUID();
    sessions.set(turn, { next: 0, told: Date.now() });
    ack({ ok: true, turn, epoch: 1, offset: 0, next: 0 });
  });
  socket.on("voice_frame", ({ turn, at, pcm }) => {
    const session = sessions.get(turn);
    if (!session || at !== session.next) return;
    session.next += pcm.length;
    const now = Date.now();
    if (now - session.told >= 400) {
      session.told = now;
      socket.emit("voice_ack", { turn, next: session.next });
    }
  });
  socket.on("voice_end", ({ turn }, ack) => ack({ ok: true, next: sessions.get(turn)?.next ?? 0 }));
});

/** Ask the vendor and pass every piece on as it comes. */
function relay(socket, turn, start) {
  const epoch = 1;
  let offset = 0;
  let reason = null;
  let usage = null;
  const body = JSON.stringify({
    model: start.model,
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: start.text }],
  });
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    Authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
  };
  const end = (status) => socket.emit("turn_end", { turn, epoch, offset: ++offset, status, reason, usage });

  const call = request(vendor, { method: "POST", headers }, (response) => {
    let rest = "";
    response.setEncoding("utf8");
    response.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
        const frame = JSON.parse(line.slice(6));
        if (frame.usage) usage = frame.usage;
        const choice = frame.choices[0];
        if (!choice) continue;
        if (choice.finish_reason) reason = choice.finish_reason;
        const text = choice.delta.content;
        if (text) socket.emit("turn_delta", { turn, epoch, offset: ++offset, count: 1, kind: "text", text });
      }
    });
    response.on("end", () => end(reason ? "done" : "failed"));
  });
  call.on("error", () => end("failed"));
  call.end(body);
}

http.listen(Number(process.env.PORT), process.env.HOST);
