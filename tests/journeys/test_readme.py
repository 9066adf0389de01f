"""The client of the README runs as it is printed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.node import node
from tests.processes import ROOT, ServerProcess

REPORT = """
const wait = (ms) => new Promise((go) => setTimeout(go, ms));
socket.on("turn_end", async (end) => {
  await wait(50);
  const { createHash } = await import("node:crypto");
  const sha256 = createHash("sha256").update(text).digest("hex");
  console.log(JSON.stringify({ text, whole: sha256 === end.sha256 && end.length === [...text].length }));
  process.exit(0);
});
await wait(1000);
socket.io.engine.close(); // the line is lost in mid-answer
"""


@pytest.mark.parametrize("name", ["README.md"])
def test_the_printed_client_sees_the_whole_answer(server: ServerProcess, tmp_path: Path, name: str) -> None:
    """Even when its line is lost in mid-answer."""
    (block,) = re.findall(r"```js\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
    script = ROOT / "tests" / "journeys" / f"readme-{tmp_path.name}.mjs"
    script.write_text(
        "globalThis.localStorage = {};\n" + block.replace("http://127.0.0.1:5000", server.address) + REPORT, "utf-8"
    )
    try:
        done = subprocess.run([node(), script], capture_output=True, text=True, timeout=60)
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["whole"]
    assert len(result["text"]) > 100
