// Follows one turn with a stock client, by the viewer's rule of the protocol, and prints what came of it.
import { createHash } from "node:crypto";
import { io } from "socket.io-client";

const [address, transport, question] = process.argv.slice(2);
const socket = io(`${address}/text`, { transports: transport.split(",") });
let turn, epoch = 1, last = 0, text = "";

function apply(event, entry) {
  if (entry.turn !== turn || entry.epoch < epoch) return;
  if (event === "turn_rewind") {
    epoch = entry.epoch;
    last = entry.offset;
    text = [...text].slice(0, entry.length).join("");
    return;
  }
  const end = entry.offset + (entry.count ?? 1) - 1;
  if (end <= last) return;
  if (entry.offset !== last + 1) return void socket.emit("turn_attach", { turn, epoch, after: last }, () => {});
  last = end;
  if (event === "turn_delta" && entry.kind === "text") text += entry.text;
  if (event === "turn_end") finish(entry);
}

function finish(end) {
  const verified =
    end.length === [...text].length && end.sha256 === createHash("sha256").update(text).digest("hex");
  console.log(JSON.stringify({ verified, text, end }));
  socket.close();
}

const early = [];
socket.onAny((event, entry) => (turn ? apply(event, entry) : early.push([event, entry])));
socket.on("connect_error", (error) => {
  console.error(error.message, error.data);
  process.exit(1);
});
socket.once("welcome", async () => {
  const started = await socket.emitWithAck("turn_start", { client_id: "c-1", text: question });
  if (!started.ok) {
    console.error(JSON.stringify(started));
    process.exit(1);
  }
  ({ turn, epoch } = started);
  last = started.offset;
  early.forEach(([event, entry]) => apply(event, entry));
});
