"""Who may import whom, held as data and compared with every import statement of the tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = {".venv", "node_modules", "static", "data", ".git"}

WORDBOOKS = "services.*"  # the files at the top of services/: open to every package
ALLOWED: dict[str, set[str]] = {
    # importer: what it may import of this project, besides itself
    "config": set(),
    "run": {"config"},
    "doctor": {"config", "run", "db", WORDBOOKS, "services.settings_catalogue", "services.wire"},
    "server": {"config", "db", "services", "sockets", "blueprints"},
    "sockets": {"config", "services"},
    "blueprints": {"config", "services"},
    "services.assembly": {"config", "db", "services"},
    "services.settings_catalogue": {
        "config",
        WORDBOOKS,
        "services.providers",
        "services.speech",
        "services.synthesis",
        "services.ocr",
        "services.images",
        "services.wire",
    },
    "services.picture_assembly": {"config", "db", "services"},
    "services.sharing": {"config", "services"},
    "services.faults": {"config", "db", WORDBOOKS},  # tells the edges what a fault of the database means
    WORDBOOKS: {"config"},
    "services.turns": {"config", "db", "services"},
    "services.providers": {"config", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.speech": {"config", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.synthesis": {"config", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.ocr": {"config", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.images": {"config", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.relay": {"config", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.wire": {"config", WORDBOOKS},
    "services.telemetry": {"config", WORDBOOKS},
    "services.accounts": {"config", "db", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.conversations": {"config", "db", WORDBOOKS, "services.telemetry"},
    "services.pictures": {"config", "db", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.quota": {"config", "db", WORDBOOKS, "services.wire", "services.telemetry"},
    "services.administration": {"config", "db", WORDBOOKS, "services.accounts", "services.quota"},
    "services.importing": {
        "config",
        "db",
        WORDBOOKS,
        "services.accounts",
        "services.administration",
        "services.conversations",
        "services.quota",
    },
    "db": {"config"},
    "simulators": set(),
    "benchmarks": {"config", "services", "simulators", "sockets"},
    "chaos": {"config", "db", "services", "simulators", "benchmarks"},
    "tests": {
        "config",
        "run",
        "doctor",
        "db",
        "services",
        "sockets",
        "blueprints",
        "simulators",
        "benchmarks",
        "chaos",
    },
}
IMPORT_THE_SERVER = {"tests/test_server.py"}  # run.py starts it as a process

EDGE_PACKAGES = {"flask", "flask_socketio", "socketio", "engineio", "werkzeug", "geventwebsocket"}
# Slow to import, and wasteful: vendors are spoken to by our own code.
VENDOR_SDKS = {"dashscope", "openai", "sparkai", "volcenginesdkarkruntime"}
BANNED: dict[str, set[str]] = {
    # importer: packages of others it may not know
    "services": EDGE_PACKAGES | VENDOR_SDKS,
    "db": EDGE_PACKAGES | VENDOR_SDKS,
    "sockets": {"sqlalchemy"} | VENDOR_SDKS,
    "blueprints": {"sqlalchemy", "flask_socketio", "socketio", "engineio", "geventwebsocket"} | VENDOR_SDKS,
}
STANDARD_LIBRARY_ONLY = ("config", "run")


def modules() -> Iterator[tuple[Path, str]]:
    """Every Python file with its dotted name."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if SKIPPED.isdisjoint(parts):
            yield path, ".".join(parts).removesuffix(".__init__")


MODULES = dict(sorted((name, path) for path, name in modules()))


def imported(name: str, path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, wherever in the file it does."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in MODULES else base


def unit(name: str) -> str:
    """The row of the table a module belongs to."""
    parts = name.split(".")
    if name == "services":
        return WORDBOOKS
    if parts[0] != "services":
        return parts[0]
    package = ".".join(parts[:2])
    is_package = any(other.startswith(package + ".") for other in MODULES)
    return package if is_package or package in ALLOWED else WORDBOOKS


OURS = {name.partition(".")[0] for name in MODULES}


def may(importer: str, target: str) -> bool:
    allowed, wanted = ALLOWED[unit(importer)], unit(target)
    return wanted == unit(importer) or wanted in allowed or wanted.partition(".")[0] in allowed


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_a_module_imports_only_what_its_layer_may(name: str) -> None:
    """Arrows point from the edges to the work to the tables, and never back."""
    path = MODULES[name]
    where = path.relative_to(ROOT).as_posix()
    wrong = []
    for line, target in imported(name, path):
        top = target.partition(".")[0]
        if top in OURS:
            if top == "server" and where in IMPORT_THE_SERVER:
                continue
            if not may(name, target):
                wrong.append(f"{where}:{line} imports {target}")
        elif top in BANNED.get(name.partition(".")[0], ()):
            wrong.append(f"{where}:{line} knows {top}")
        elif name in STANDARD_LIBRARY_ONLY and top not in sys.stdlib_module_names:
            wrong.append(f"{where}:{line} needs {top}, which a fresh machine lacks")
    assert not wrong, "\n".join(wrong)


def test_the_table_has_a_row_for_everything() -> None:
    """A new package is placed in the table, and a row without a package is taken out."""
    units = {unit(name) for name in MODULES if name}
    assert units == set(ALLOWED)


def test_nothing_shadows_the_standard_library() -> None:
    """The tree is on the path as it is: a file named like a standard module would take its place."""
    assert {name.partition(".")[0] for name in MODULES}.isdisjoint(sys.stdlib_module_names)
