// Streams each attack in pieces of one, two and three letters, draws after each, and tells every element it ever saw.
async (attacks) => {
  const { drawingTools } = await import("/static/js/drawing_tools.js");
  const { MarkdownView } = await import("/static/js/markdown_view.js");
  const tools = drawingTools();
  const host = document.body.appendChild(document.createElement("div"));
  const FORBIDDEN = /^(on.*|src|srcset|action|formaction|srcdoc|id|name)$/i;
  const found = new Set();
  const look = (attack) => {
    for (const node of host.querySelectorAll("*")) {
      found.add(node.localName === node.tagName ? node.localName : node.tagName);
      for (const { name, value } of node.attributes) {
        const isLoose = name === "href" && node.localName !== "use" && !/^(https?:|mailto:)/.test(value);
        if (isLoose || FORBIDDEN.test(name) || (name === "style" && value.includes("url"))) found.add(`${name}=${value} in ${attack}`);
      }
    }
  };
  const warm = new MarkdownView(tools);
  host.append(warm.element);
  warm.append("$x$\n\n```js\n1\n```\n");
  while (warm.draw(Infinity)) ;
  while (!host.querySelector(".katex") || !host.querySelector(".hljs-number")) await new Promise(requestAnimationFrame);
  for (const attack of attacks) {
    for (const splits of [1, 2, 3]) {
      const view = new MarkdownView(tools);
      host.replaceChildren(view.element);
      for (let at = 0; at < attack.length; at += splits) {
        view.append(attack.slice(at, at + splits));
        view.draw(Infinity);
        look(attack);
      }
      view.finish();
      view.draw(Infinity);
      look(attack);
    }
  }
  await new Promise((done) => setTimeout(done, 100));
  host.remove();
  return { found: [...found], hacked: window.hacked ?? null, breaches: window.breaches };
}
