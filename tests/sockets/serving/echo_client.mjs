// A stock JavaScript client tries one worker; prints one JSON line per thing it saw. Arguments: url, transports.
import { io } from "socket.io-client";

const [url, transports] = process.argv.slice(2);
const say = (name, ...values) => console.log(JSON.stringify([name, ...values]));
const options = { transports: transports.split(","), reconnection: false, timeout: 10_000 };

const refused = io(`${url}/echo`, { ...options, forceNew: true, auth: { token: "bad" } });
const refusal = await new Promise((resolve) => refused.once("connect_error", resolve));
say("refused", refusal.message, refusal.data);
refused.close();

const lost = io(`${url}/nowhere`, { ...options, forceNew: true });
const unknown = await new Promise((resolve) => lost.once("connect_error", resolve));
say("unknown", unknown.message, unknown.data);
lost.close();

const socket = io(`${url}/echo`, { ...options, forceNew: true, auth: { token: "good" } });
socket.once("welcome", (payload) => say("welcome", payload));
await new Promise((resolve) => socket.once("connect", resolve));
if (options.transports.length > 1 && socket.io.engine.transport.name === "polling") {
  await new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
}
say("transport", socket.io.engine.transport.name);
const many = await Promise.all(Array.from({ length: 40 }, (_, at) => socket.emitWithAck("echo", at)));
say("many", many);
const bytes = await socket.emitWithAck("echo", { at: 3, pcm: new Uint8Array([1, 2, 3]) });
say("binary", bytes.at, [...new Uint8Array(bytes.pcm)]);
say("text", await socket.emitWithAck("inline", "春眠不觉晓 😀"));
socket.once("disconnect", (reason) => {
  say("disconnect", reason);
  process.exit(0);
});
socket.emit("leave");
