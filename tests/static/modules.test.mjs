import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

const STATIC = new URL("../../static/", import.meta.url);
const read = (path) => readFileSync(new URL(path, STATIC), "utf8");
const modules = readdirSync(new URL("js/", STATIC)).filter((name) => name.endsWith(".js"));
const { vendor } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** @param {string} name */
function reached(name, seen = new Set()) {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const [, next] of read(`js/${name}`).matchAll(/^(?:import|export)[^;]*?"\.\/([\w.]+)"/gm)) reached(next, seen);
  return seen;
}

describe("the page's files", () => {
  it("are announced to the browser at once, so that no module waits for another", () => {
    const preloaded = [...read("index.html").matchAll(/rel="modulepreload" href="static\/(?:js|vendor)\/([\w.-]+)"/g)].map((match) => match[1]);
    const own = preloaded.filter((name) => modules.includes(name));
    assert.deepEqual(own.sort(), [...reached("app.js")].sort());
    for (const name of preloaded) if (!own.includes(name)) assert.ok(`static/vendor/${name}` in vendor, name);
  });

  it("are all used", () => {
    const used = new Set([...reached("app.js"), ...reached("recorder_worklet.js"), "main.js", "first_paint.js", "types.js"]);
    assert.deepEqual(modules.filter((name) => !used.has(name)), []);
  });

  it("have no inline script or style, no address of another host, and only icons that exist", () => {
    const html = read("index.html");
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:\/\//i);
    const icons = new Set([...read("icons.svg").matchAll(/<symbol id="(\w+)"/g)].map((match) => match[1]));
    const named = modules.flatMap((name) => [...read(`js/${name}`).matchAll(/\bicon: "(\w+)"|\bicon\("(\w+)"\)/g)]).map((match) => match[1] ?? match[2]);
    for (const [, name] of html.matchAll(/icons\.svg#(\w+)/g)) named.push(name);
    for (const name of named) assert.ok(icons.has(name), name);
    for (const name of readdirSync(new URL("styles/", STATIC)).map((name) => `styles/${name}`)) assert.doesNotMatch(read(name), /url\(|@import/);
  });

  it("never turn text into HTML but through the sanitizer", () => {
    for (const name of modules) {
      assert.doesNotMatch(read(`js/${name}`), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function/, name);
    }
  });

  it("have a source in the packages for every library", () => {
    for (const [target, source] of Object.entries(vendor)) {
      assert.match(target, /^static\/vendor\//);
      assert.ok(existsSync(new URL(`../../${source}`, import.meta.url)), source);
    }
    const wanted = [...read("js/vendor.js").matchAll(/"\.\.\/(vendor\/[^"]+)"/g)].map((match) => `static/${match[1]}`);
    for (const path of wanted) assert.ok(path in vendor, path);
  });
});
