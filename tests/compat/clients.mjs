// The older clients' own ways to read an answer, faults included, on the `fetch` that their pages have, too.
// Asks `question 0`, `question 1` ... and prints what would be shown for each.
const [client, address, count, context] = process.argv.slice(2);
const given = JSON.parse(context);
const AT_ONCE = 5;

const post = (path, body, headers = {}) =>
  fetch(address + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

async function* reads(response) {
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function* lines(response, trim = true) {
  const decoder = new TextDecoder();
  let buffer = "";
  for await (const value of reads(response)) {
    buffer += decoder.decode(value, { stream: true });
    const whole = buffer.split("\n");
    buffer = whole.pop();
    for (const line of whole) yield trim ? line.trim() : line;
  }
}

const CLIENTS = {
  // cloud-chat, July 2025: each read is decoded and split for itself, what does not parse is dropped.
  async chat_page(message) {
    const response = await post("/deepseek_chat", { message });
    if (!response.ok) return `Error: Request failed: ${response.status}`;
    let text = "";
    for await (const value of reads(response)) {
      for (const line of new TextDecoder().decode(value).split("\n").filter((line) => line.trim())) {
        try {
          text += JSON.parse(line).text || "";
        } catch {}
      }
    }
    return text;
  },

  // cloud-chat, the legacy one-shot page: buffers, but believes every line.
  async one_shot_page(message) {
    let text = "";
    for await (const line of lines(await post("/cloudchat/chat", { message }), false)) {
      const said = JSON.parse(line).text;
      text += said.length ? said : "";
    }
    return text;
  },

  // cloud-chat, the newest page: buffers, takes text that is text, sends fields nobody asked for.
  async newest_page(message) {
    const asked = { message, guideMode: true, presetId: null, locale: "zh" };
    const response = await post("/cloudchat/deepseek_chat", asked);
    if (response.status === 401) return "to the login";
    let text = "";
    for await (const line of lines(response)) {
      if (!line) continue;
      const piece = JSON.parse(line);
      if (typeof piece.text === "string") text += piece.text;
    }
    return text;
  },

  // bailian-proxy's service module: lines that begin with `data:`, to `[DONE]`.
  async service_module(content) {
    const messages = [{ role: "user", content }];
    const response = await post("/api/chat/stream", { messages, model: "gpt-3.5-turbo", max_tokens: 90000, stream: true });
    if (!response.ok) throw new Error((await response.json()).message);
    let text = "";
    for await (const line of lines(response)) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return text;
      try {
        text += JSON.parse(data).content || "";
      } catch {}
    }
    return `${text} (no end)`;
  },

  // bailian-chatbot's widgets: nothing is kept between reads; only what ends is kept in the history.
  async widget(last_prompt) {
    const conversation_history = [
      { role: "assistant", content: "Welcome" },
      { role: "user", content: last_prompt },
    ];
    const response = await post("/wp-json/myapi/v1/chat-bot/stream/", { last_prompt, conversation_history });
    let text = "";
    for await (const value of reads(response)) {
      for (const line of new TextDecoder().decode(value).split("\n")) {
        if (!line.startsWith("data: ")) continue;
        try {
          const event = JSON.parse(line.slice(6));
          if (!event.success) throw new Error(event.message);
          if (event.content) text += event.content;
          if (event.finished) return text;
        } catch {}
      }
    }
    return `${text} (not kept)`;
  },

  // doubao-web's page: every byte is shown, whatever the status.
  async doubao_page(message, number) {
    const headers = { "X-Auth-Token": given.sessions[number], Cookie: given.cookie };
    const decoder = new TextDecoder();
    let text = "";
    for await (const value of reads(await post("/chat-stream", { message }, headers))) {
      text += decoder.decode(value, { stream: true });
    }
    return text;
  },

  // spark-mobile's phone client: the whole body; an object where it is one value, else cut at `}` before `{` or the end.
  async phone(content) {
    const body = await (await post("/textModel/stream", { ...given.pair, dialog: [{ role: "user", content }] })).text();
    try {
      JSON.parse(body);
      return "";
    } catch {}
    let text = "";
    for (const frame of body.match(/\{.*?\}(?=\{|$)/g).map((part) => JSON.parse(part))) {
      if (frame.payload) text += frame.payload.choices.text.map((part) => part.content).join("");
    }
    return text;
  },
};

const shown = {};
let next = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (next < Number(count)) {
      const number = next++;
      shown[`question ${number}`] = await CLIENTS[client](`question ${number}`, number);
    }
  }),
);
console.log(JSON.stringify(shown));
