"""Builds the Dockerfile without Docker: its steps run in plain folders, each of which stands for a stage's root."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
_ABSOLUTE = re.compile(r"(?<![\w./])/(?=(?:app|data|tmp)\b)")


@dataclass(slots=True)
class Stage:
    """A stage's root folder, with what its other instructions said."""

    root: Path
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/") if inside.startswith("/") else self.path(self.workdir) / inside

    def translated(self, text: str) -> str:
        """With the absolute paths of the image turned into those of this machine."""
        return _ABSOLUTE.sub(f"{self.root}/", text)

    def command(self, instruction: str) -> list[str]:
        """What CMD or HEALTHCHECK starts, on this machine."""
        said = self.said[instruction]
        return [self.translated(word) for word in json.loads(said[said.index("[") :])]


class Build:
    """Every stage of a Dockerfile. Programs in `tools` come before those of the machine."""

    def __init__(self, folder: Path, *, tools: Path) -> None:
        self._folder, self._tools = folder, tools
        self._ignored = [
            line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
        ]
        self.stages: dict[str, Stage] = {}
        parser = DockerfileParser(str(ROOT / "Dockerfile"))
        for step in parser.structure:
            if step["instruction"] != "COMMENT":
                getattr(self, f"_{step['instruction'].lower()}", self._note)(step["instruction"], step["value"])

    @property
    def last(self) -> Stage:
        return list(self.stages.values())[-1]

    def _from(self, _: str, value: str) -> None:
        name = value.partition(" AS ")[2] or "image"
        self.stages[name] = Stage(self._folder / name)
        self.last.root.mkdir()

    def _workdir(self, _: str, value: str) -> None:
        self.last.workdir = value
        self.last.path(value).mkdir(parents=True, exist_ok=True)

    def _env(self, _: str, value: str) -> None:
        self.last.env |= dict(pair.split("=", 1) for pair in shlex.split(value))

    def _note(self, instruction: str, value: str) -> None:
        self.last.said[instruction] = value

    def _copy(self, _: str, value: str) -> None:
        words = value.split()
        source, ignored = Stage(ROOT), self._ignored
        if words[0].startswith("--from="):
            source, ignored = self.stages[words.pop(0).removeprefix("--from=")], []
        *names, goal = words
        for name in names:
            here, there = source.path(name), self.last.path(goal)
            if here.is_dir():
                _copy_tree(here, there, ignored)
            else:
                there.mkdir(parents=True, exist_ok=True)
                shutil.copy(here, there)

    def _run(self, _: str, value: str) -> None:
        stage = self.last
        done = subprocess.run(
            ["/bin/sh", "-ec", stage.translated(value)],
            cwd=stage.path(stage.workdir),
            env={**stage.env, "PATH": f"{self._tools}:{Path(sys.executable).parent}:{os.environ['PATH']}", "SLIM": ""},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{value}\n{done.stdout}{done.stderr}"


def _copy_tree(source: Path, goal: Path, ignored: list[str]) -> None:
    """With `.dockerignore`'s rule: a pattern is of the top folder, unless it begins with `**/`."""

    def unwanted(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == source
        patterns = [one.removeprefix("**/") for one in ignored if top or one.startswith("**/")]
        return {name for name in names if any(fnmatch(name, pattern) for pattern in patterns)}

    shutil.copytree(source, goal, ignore=unwanted, dirs_exist_ok=True, symlinks=True)
