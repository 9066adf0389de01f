"""Checks everything Parley stands on and explains each fault in one sentence: `./run doctor`.

Third-party packages are imported inside the checks, so that it also runs where they are missing.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import config
import run
from run import say

FEW_BYTES, ENOUGH_BYTES = 100_000_000, 1_000_000_000
FEWEST_FILES = 1024
REACH_S = 3.0
PROBES_S = 60.0  # for all vendors at once: each has 10 s, a slow machine needs some to start


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence. `sign` is ✓ for what is in order, · for what may be good to know, ✗ for a fault."""

    sign: str
    text: str


def fine(english: str, chinese: str) -> Finding:
    return Finding("✓", say(english, chinese))


def note(english: str, chinese: str) -> Finding:
    return Finding("·", say(english, chinese))


def fault(english: str, chinese: str) -> Finding:
    return Finding("✗", say(english, chinese))


# --- the installation -----------------------------------------------------------------------------------------------


def python_findings() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if run.venv_is_sound():
        yield fine(f"Python {version} in .venv.", f"Python {version}，位于 .venv。")
    else:
        yield fault(
            "The environment .venv is missing or broken: ./run setup makes it.", ".venv 缺失或损坏：运行 ./run setup。"
        )


def package_findings() -> Iterator[Finding]:
    wanted = re.findall(
        r"^([\w.-]+)==([^\s;]+)( *;)?", (run.ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    wrong = []
    for name, version, conditional in wanted:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = version if conditional else ""  # meant for other systems
        if found != version:
            wrong.append(name)
    if wrong:
        yield fault(
            f"{len(wrong)} packages are missing or of another version ({', '.join(wrong[:5])} …): ./run setup.",
            f"{len(wrong)} 个软件包缺失或版本不符（{', '.join(wrong[:5])} …）：运行 ./run setup。",
        )
    else:
        yield fine(f"{len(wanted)} packages as pinned.", f"{len(wanted)} 个软件包与锁定版本一致。")


def page_findings() -> Iterator[Finding]:
    missing = [target for target in run.page_files() if not (run.ROOT / target).exists()]
    if missing:
        yield fault(
            f"The page's libraries are missing ({missing[0]} …): ./run setup fetches them.",
            f"网页所需的库缺失（{missing[0]} …）：运行 ./run setup。",
        )
    else:
        yield fine("The page's libraries are in place.", "网页所需的库齐全。")


# --- settings -------------------------------------------------------------------------------------------------------


def setting_findings(env: dict[str, str]) -> Iterator[Finding]:
    """Every wrong setting, not only the first. Takes the wrong ones out of `env`, for the checks that follow."""
    from services.settings_catalogue import groups

    known: set[str] = set()
    wrong = 0
    for group in groups():
        known.update(entry.name for entry in group.entries())
        while True:
            try:
                config.read(group.slice_type, env, group.prefix)
                break
            except config.ConfigError as refused:
                wrong += 1
                yield fault(str(refused), refused.chinese)
                env.pop(refused.name)
    for name in sorted(config.environment_file(run.ROOT).keys() - known):
        yield note(f"{name} in .env is no setting of Parley.", f".env 中的 {name} 不是 Parley 的设置。")
    if not wrong:
        yield fine(f"{len(known)} settings read.", f"已读取 {len(known)} 项设置。")


def joint_findings(env: dict[str, str]) -> Iterator[Finding]:
    """What is wrong with settings that are right one by one. Mends `env` as well as it can."""
    while True:
        try:
            config.load(env)
            return
        except config.ConfigError as refused:
            yield fault(str(refused), refused.chinese)
            env[refused.name] = "missing" if refused.name == "FLASK_SECRET_KEY" else ""


def key_findings(env: Mapping[str, str]) -> Iterator[Finding]:
    from services.settings_catalogue import groups

    told: set[str] = set()  # several parts of the server may read one key
    for group in groups():
        for entry in group.entries():
            if not entry.name.endswith("_API_KEY") or entry.name in told:
                continue
            told.add(entry.name)
            if env.get(entry.name):
                yield fine(f"{entry.name} is set.", f"已设置 {entry.name}。")
            else:
                yield note(
                    f"{entry.name} is not set; put it into .env to use that vendor.",
                    f"未设置 {entry.name}；如需使用该服务，请写入 .env。",
                )


# --- what the settings point to -------------------------------------------------------------------------------------


def data_findings(settings: config.Settings) -> Iterator[Finding]:
    folder = settings.server.data_dir.resolve()
    ground = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=ground):
            pass
    except OSError:
        yield fault(
            f"DATA_DIR {folder} cannot be written: give this user the folder, or name another.",
            f"DATA_DIR {folder} 无法写入：请修正目录权限，或另选目录。",
        )
        return
    free = shutil.disk_usage(ground).free
    size = f"{free / 1e9:.1f} GB"
    if free < FEW_BYTES:
        yield fault(f"Only {size} are free in DATA_DIR: make room.", f"DATA_DIR 仅剩 {size}：请清理空间。")
    elif free < ENOUGH_BYTES:
        yield note(f"{size} are free in DATA_DIR.", f"DATA_DIR 剩余 {size}。")
    else:
        yield fine(f"DATA_DIR can be written, {size} free.", f"DATA_DIR 可写，剩余 {size}。")


def database_findings(settings: config.Settings) -> Iterator[Finding]:
    from db import migrate
    from db.engine import make_engine

    url = settings.database_url
    if url.startswith("sqlite:"):
        found: str | None = run.sqlite_revision(url)
    else:
        try:
            engine = make_engine(url, pool_size=1)
            found = migrate.current(engine)
            engine.dispose()
        except Exception as refused:  # noqa: BLE001 - whatever the driver raises, the database is not usable
            reason = str(getattr(refused, "orig", refused))
            yield fault(
                f"The database does not answer ({reason}): check DATABASE_URL and that it runs.",
                f"数据库无法连接（{reason}）：请检查 DATABASE_URL 以及数据库是否在运行。",
            )
            return
    if found == migrate.head():
        yield fine(f"The database answers and is up to date ({found}).", f"数据库可用，且已是最新（{found}）。")
    elif migrate.is_newer(found or None):
        yield note(
            f"The database was brought up to date by a newer Parley ({found}): update this one, too.",
            f"数据库已由更新版本的 Parley 升级（{found}）：请也升级本程序。",
        )
    else:
        yield fault(
            "The database is not set up or out of date: ./run setup.", "数据库尚未建立或不是最新：运行 ./run setup。"
        )


def redis_findings(settings: config.Settings) -> Iterator[Finding]:
    address = settings.redis.address
    if not address:
        yield note("No Redis is set; one server process needs none.", "未设置 Redis；单个服务进程不需要它。")
        return
    import redis

    from services.wire.redis_link import RedisLink

    try:
        with contextlib.closing(RedisLink(address, timeout_s=REACH_S)) as link:
            link.ask(lambda client: client.ping())
    except (redis.RedisError, config.ConfigError) as refused:
        yield fault(
            f"Redis does not answer ({refused}): check REDIS_URL, or empty it to go without.",
            f"Redis 无法连接（{refused}）：请检查 REDIS_URL，或留空以不使用 Redis。",
        )
    else:
        yield fine("Redis answers.", "Redis 可用。")


def port_findings(settings: config.Settings) -> Iterator[Finding]:
    host, port = settings.server.host, settings.server.port
    try:
        if port:
            run.check_port(host, port)
    except run.SetupFailed as taken:
        if _is_parley(host, port):
            yield fine(f"Parley runs on {host}:{port}.", f"Parley 正在 {host}:{port} 运行。")
        else:
            yield Finding("✗", str(taken))
    else:
        yield fine(f"{host}:{port} is free.", f"{host}:{port} 空闲。")


def _is_parley(host: str, port: int) -> bool:
    """Whether what listens there answers as this server does."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(reached, port, timeout=REACH_S)
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read(10_000))
        return isinstance(answer, dict) and "ready" in answer and "checks" in answer
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def vendor_findings(env: Mapping[str, str], *, offline: bool) -> Iterator[Finding]:
    """What each vendor that is set up answers to a greeting, told from its adapter's own table of faults."""
    if not offline:
        yield note(
            "Asking each vendor that is set up for a few tokens, for 10 s at most; --offline leaves it out.",
            "正在向每个已配置的服务商试问（几个 token，最多 10 秒）；加 --offline 可跳过。",
        )
    probes = ["-m", "gevent.monkey", "--module", "services.providers.probes"]  # adapters need gevent, doctor does not
    done = subprocess.run(
        [sys.executable, *probes, *(["--offline"] if offline else [])],
        cwd=run.ROOT,
        input=json.dumps(dict(env)),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PROBES_S,
        check=True,
    )
    for line in done.stdout.splitlines():
        yield _of_probe(**json.loads(line))


def _of_probe(provider: str, model: str, found: int | None, seconds: float, fault: tuple[str, str] | None) -> Finding:
    who = f"{provider} ({model})" if model else provider
    if fault:
        english, chinese = fault
        return Finding("✗", say(f"{who}: {english}", f"{who}：{chinese}") if who else say(english, chinese))
    if found == 0:
        return note(f"{who} answers, but has no model yet.", f"{who} 已应答，但还没有模型。")
    if found is not None:
        return fine(f"{who} answers and has {found} models.", f"{who} 已应答，有 {found} 个模型。")
    return fine(f"{who} answers, after {seconds:.1f} s.", f"{who} 已应答，用时 {seconds:.1f} 秒。")


# --- the machine ----------------------------------------------------------------------------------------------------


def clock_findings(today: datetime.date) -> Iterator[Finding]:
    """The list of certificate authorities bears its date: a clock before it is wrong, and breaks all TLS."""
    released = datetime.date(*map(int, importlib.metadata.version("certifi").split(".")[:3]))
    if today < released:
        yield fault(
            f"The clock says {today}, which is before this software was made: set it, or no vendor can be reached.",
            f"系统时间为 {today}，早于本软件的发布日期：请校准，否则无法连接任何模型服务。",
        )
    else:
        yield fine(f"The clock says {today}.", f"系统日期 {today}。")


def file_findings(settings: config.Settings) -> Iterator[Finding]:
    if os.name == "nt":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = settings.server.max_connections + 200
    if hard != resource.RLIM_INFINITY and hard < FEWEST_FILES:
        yield fault(
            f"Only {hard} files may be open at once, and every connection is one: raise the limit (ulimit -Hn).",
            f"最多只能同时打开 {hard} 个文件，而每个连接占用一个：请提高上限（ulimit -Hn）。",
        )
    elif hard != resource.RLIM_INFINITY and hard < wanted:
        yield note(
            f"{hard} files may be open at once; MAX_CONNECTIONS would need {wanted}.",
            f"最多同时打开 {hard} 个文件；MAX_CONNECTIONS 需要 {wanted}。",
        )
    else:
        yield fine("Enough files may be open at once.", "可同时打开的文件数足够。")


# --- all of it ------------------------------------------------------------------------------------------------------


def examine(*, offline: bool) -> Iterator[Finding]:
    """Every finding, in the order in which a new user would meet them."""
    yield from _guarded(python_findings)
    yield from _guarded(package_findings)
    yield from _guarded(page_findings)
    try:
        env = config.environment(run.ROOT)
    except config.ConfigError as refused:
        yield fault(str(refused), refused.chinese)
        env = dict(os.environ)
    yield from _guarded(lambda: setting_findings(env))
    yield from joint_findings(env)
    settings = config.load(env)
    for check in (data_findings, database_findings, redis_findings, port_findings, file_findings):
        yield from _guarded(lambda check=check: check(settings))  # type: ignore[misc]
    yield from _guarded(lambda: clock_findings(datetime.datetime.now(datetime.UTC).date()))
    yield from _guarded(lambda: key_findings(env))
    yield from _guarded(lambda: vendor_findings(env, offline=offline))


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check that cannot be made is a finding too."""
    try:
        yield from check()
    except ModuleNotFoundError as missing:
        yield fault(
            f"The package {missing.name} is missing: ./run setup.", f"缺少软件包 {missing.name}：运行 ./run setup。"
        )
    except Exception as surprise:  # noqa: BLE001 - the remaining checks may tell why
        what = f"{type(surprise).__name__}: {surprise}"
        yield fault(f"A check could not be made ({what}).", f"一项检查无法进行（{what}）。")


def main(arguments: list[str]) -> int:
    faults = 0
    for finding in examine(offline="--offline" in arguments):
        faults += finding.sign == "✗"
        print(f"{finding.sign} {finding.text}", flush=True)
    if faults:
        print(say(f"{faults} to mend.", f"有 {faults} 处需要处理。"))
    else:
        print(say("Everything is in order.", "一切正常。"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
