// Draws 20 000 lines as they would stream, and counts how often a settled block was touched again.
async () => {
  const { drawingTools } = await import("/static/js/drawing_tools.js");
  const { MarkdownView } = await import("/static/js/markdown_view.js");
  const view = new MarkdownView(drawingTools());
  document.getElementById("messages").append(view.element);
  const lines = Array.from({ length: 20000 }, (_, i) =>
    i % 40 === 0 ? `\n## Part ${i}\n` : i % 10 === 3 ? `- item **${i}**` : `Line ${i} with \`code\` and *words*.\n`);
  const places = new WeakMap();
  const observer = new MutationObserver(() => {});
  observer.observe(view.element, { childList: true, subtree: true });
  let settled = 0;
  let again = 0;
  for (let at = 0; at < lines.length; at += 50) {
    view.append(lines.slice(at, at + 50).join("\n") + "\n");
    while (view.draw(performance.now() + 8)) await new Promise(requestAnimationFrame);
    for (const { target } of observer.takeRecords()) {
      if (places.get(target.closest?.(".block")) < settled - 1) again += 1;
    }
    for (; settled < view.element.childElementCount; settled += 1) places.set(view.element.children[settled], settled);
  }
  view.finish();
  view.draw(Infinity);
  return { blocks: view.element.childElementCount, again, isLong: view.element.classList.contains("long"),
    last: view.element.lastElementChild.textContent.includes("Line 19999") };
}
