"""Settings: the only reader of the environment.

A slice of settings is a frozen dataclass whose fields are made by `setting`. `read(Slice, env, prefix="RELAY")`
fills it from `RELAY_<FIELD>` (or the name given with `env=`), checks it and names the variable that is wrong.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import quote

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting that cannot be used. The message begins with the variable's name; `chinese` says the same."""

    def __init__(self, message: str, chinese: str = "") -> None:
        super().__init__(message)
        self.name = message.partition(" ")[0]
        self.chinese = chinese or message


def setting(
    default: Any,
    help: str,
    *,
    env: str | None = None,
    also: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    secret: bool = False,
) -> Any:
    """A field of a slice: its default, its meaning (one sentence), its name in the environment and its bounds.

    Args:
        also: A name it had on an older server; read where `env` says nothing.
    """
    bounds = {"minimum": minimum, "maximum": maximum, "choices": choices}
    metadata = {"help": help, "env": env, "also": also, "secret": secret, **bounds}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def name_of(field: dataclasses.Field[Any], prefix: str) -> str:
    """The variable a field is read from."""
    return field.metadata["env"] or "_".join(part for part in (prefix, field.name) if part).upper()


def read(slice_type: type[T], env: Mapping[str, str], prefix: str = "") -> T:
    """Fill a slice from the environment; an empty or absent variable means the default.

    Raises:
        ConfigError: A value has the wrong type, is out of bounds or not among the choices.
    """
    hints = get_type_hints(slice_type)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(slice_type):  # type: ignore[arg-type]
        name = name_of(field, prefix)
        raw = env.get(name, "").strip()
        if not raw and field.metadata["also"]:
            name = field.metadata["also"]
            raw = env.get(name, "").strip()
        if raw:
            values[field.name] = _check(name, _cast(name, raw, hints[field.name]), field.metadata)
    return slice_type(**values)


def _cast(name: str, raw: str, kind: Any) -> Any:
    if kind is bool:
        if raw.lower() in ("1", "true", "yes", "on"):
            return True
        if raw.lower() in ("0", "false", "no", "off"):
            return False
        raise ConfigError(f"{name} must be true or false, not {raw!r}.", f"{name} 应为 true 或 false，而不是 {raw!r}。")
    if kind == float | None:
        kind = float
    if kind in (int, float):
        try:
            number = kind(raw)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            wanted, chinese = ("a whole number", "整数") if kind is int else ("a number", "数字")
            raise ConfigError(f"{name} must be {wanted}, not {raw!r}.", f"{name} 应为{chinese}，而不是 {raw!r}。")
        return number
    if kind is Path:
        return Path(raw).expanduser()
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    return raw


def _check(name: str, value: Any, rules: Mapping[str, Any]) -> Any:
    shown = "its value" if rules["secret"] else repr(value)
    if rules["choices"]:
        if value.lower() not in rules["choices"]:
            choices = ", ".join(rules["choices"])
            raise ConfigError(f"{name} must be one of {choices}, not {shown}.", f"{name} 应为以下之一：{choices}。")
        return value.lower()
    low, high = rules["minimum"], rules["maximum"]
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bounds, chinese = f"from {low:g} to {high:g}", f"应在 {low:g} 与 {high:g} 之间"
        if high is None:
            bounds, chinese = f"at least {low:g}", f"不能小于 {low:g}"
        raise ConfigError(f"{name} must be {bounds}, not {shown}.", f"{name} {chinese}，而不是 {shown}。")
    return value


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and whom it believes."""

    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 or :: for every address.", env="HOST")
    port: int = setting(5000, "Port to listen on.", env="PORT", minimum=0, maximum=65535)
    debug: bool = setting(False, "Log more; never use it in production.", env="DEBUG")
    secret_key: str = setting(
        "",
        "Signs cookies. Made and kept in DATA_DIR on a loopback HOST; required on any other.",
        env="FLASK_SECRET_KEY",
        secret=True,
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        "Web origins that may connect, separated by commas; empty means the address served, * any page with a token.",
        env="ALLOWED_ORIGINS",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Addresses or networks of proxies in front, separated by commas: of theirs X-Forwarded-For is believed.",
        env="TRUSTED_PROXIES",
    )
    data_dir: Path = setting(Path("data"), "Folder of the database and everything else that is kept.", env="DATA_DIR")
    log_level: str = setting(
        "info", "How much is logged.", env="LOG_LEVEL", choices=("debug", "info", "warning", "error")
    )
    rate_limit_enabled: bool = setting(True, "Limit how often one user or address may ask.", env="RATE_LIMIT_ENABLED")
    metrics_token: str = setting(
        "",
        "Bearer token with which other machines may read /metrics; empty lets only this machine.",
        env="METRICS_TOKEN",
        secret=True,
    )
    max_connections: int = setting(
        10_000, "Connections served at once; more are answered 503.", env="MAX_CONNECTIONS", minimum=1
    )
    workers: int = setting(
        1, "Processes that serve the port together; more than one needs Redis.", env="WORKERS", minimum=1, maximum=32
    )
    machine_address: str = setting(
        "",
        "host:port at which servers on other machines reach this one, for clients that poll; empty where one machine"
        " serves, or a balancer keeps each client with one.",
        env="MACHINE_ADDRESS",
    )
    drain_s: float = setting(
        5.0, "Seconds running answers are given to end when the server is stopped.", env="DRAIN_S", minimum=0
    )


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where users, conversations and quotas are kept."""

    url: str = setting(
        "",
        "Database: empty for SQLite in DATA_DIR, or mysql+pymysql://user:password@host/name.",
        env="DATABASE_URL",
        secret=True,
    )
    pool_size: int = setting(16, "Connections to MySQL kept open.", env="DATABASE_POOL_SIZE", minimum=1, maximum=500)
    wait_s: float = setting(
        0.0,
        "Seconds a start waits for a MySQL that does not answer, before it gives up and says so.",
        env="DATABASE_WAIT_S",
        minimum=0,
        maximum=3600,
    )


REDIS_FORMS = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """What joins several server processes; none by default."""

    url: str = setting(
        "",
        "Redis, as redis://[:password@]host:port/db, redis+sentinel:// or redis+cluster://; empty for none.",
        env="REDIS_URL",
        secret=True,
    )
    host: str = setting("", "Redis host, used when REDIS_URL is empty.", env="REDIS_HOST")
    port: int = setting(6379, "Redis port.", env="REDIS_PORT", minimum=1, maximum=65535)
    db: int = setting(0, "Redis database number.", env="REDIS_DB", minimum=0)
    password: str = setting("", "Redis password.", env="REDIS_PASSWORD", secret=True)
    prefix: str = setting(
        "parley", "Begins every key in Redis; servers that share a Redis but no users need two.", env="REDIS_PREFIX"
    )

    @property
    def address(self) -> str:
        """The one URL these settings mean; empty for no Redis."""
        if self.url or not self.host:
            return self.url
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{login}{self.host}:{self.port}/{self.db}"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Who may use the server and what a new user gets."""

    allow_guests: str = setting(
        "auto",
        "Let people in without an account; auto lets them only on a loopback HOST.",
        env="ALLOW_GUESTS",
        choices=("auto", "true", "false", "1", "0", "yes", "no", "on", "off"),
    )
    initial_tokens: int = setting(1_000_000, "Tokens a new user may spend.", env="INITIAL_TOKENS", minimum=0)
    initial_pictures: int = setting(100, "Pictures a new user may have drawn.", env="INITIAL_PICTURES", minimum=0)


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """What a turn is asked with, and how long it may take."""

    default_model: str = setting(
        "", "Model id used when none is asked for; empty for the first one available.", env="DEFAULT_MODEL"
    )
    max_history: int = setting(
        40, "Messages of a conversation sent to the model.", env="MAX_HISTORY", minimum=1, maximum=1000
    )
    system_prompt: str = setting("", "System message of every turn that brings none.", env="SYSTEM_PROMPT")
    temperature: float | None = setting(
        None,
        "Sampling temperature when a turn brings none; empty leaves it to the vendor.",
        env="TEMPERATURE",
        minimum=0,
        maximum=2,
    )
    max_output_tokens: int = setting(4096, "Longest answer when a turn brings no max_tokens.", minimum=1)
    first_piece_s: float = setting(
        30.0, "Seconds until a vendor's first piece.", env="FIRST_PIECE_TIMEOUT_S", minimum=0.05
    )
    idle_s: float = setting(20.0, "Seconds between two pieces.", env="IDLE_TIMEOUT_S", minimum=0.05)
    total_s: float = setting(600.0, "Seconds a turn may take in all.", env="TURN_TIMEOUT_S", minimum=0.1)
    max_running: int = setting(32, "Turns one user may have running at once.", env="MAX_RUNNING_TURNS", minimum=1)
    starts_per_minute: int = setting(120, "Turns one user may start in a minute.", env="TURNS_PER_MINUTE", minimum=1)


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How long a turn can be followed, and how much one viewer may cost."""

    replay_ttl_s: float = setting(600.0, "Seconds a turn's log is kept after its end.", env="REPLAY_TTL_S", minimum=0)
    max_pending_bytes: int = setting(
        1_000_000,
        "Bytes that may wait for one viewer; beyond it is served from the log.",
        env="MAX_PENDING_BYTES",
        minimum=16_384,
    )
    lease_s: float = setting(
        3.0,
        "Seconds after which the turns of a silent worker are another's; with REDIS_URL only.",
        env="LEASE_S",
        minimum=0.5,
    )
    checkpoint_s: float = setting(
        1.0, "Seconds between two saves of running answers.", env="CHECKPOINT_S", minimum=0.05
    )


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """How long one may speak, and how much sound may wait."""

    max_s: float = setting(
        600.0, "Seconds of sound one voice turn takes; the transcript ends there.", env="VOICE_MAX_S", minimum=1
    )
    idle_s: float = setting(
        60.0, "Seconds without sound from the client that end a voice turn.", env="VOICE_IDLE_S", minimum=1
    )
    silence_s: float = setting(
        60.0, "Seconds of silence in the sound that end a voice turn; 0 for none.", env="VOICE_SILENCE_S", minimum=0
    )
    ahead_s: float = setting(
        2.0, "Seconds of sound that may wait for the recogniser.", env="VOICE_AHEAD_S", minimum=0.2, maximum=60
    )
    max_speed: float = setting(
        8.0, "How many times faster than it was spoken sound may come.", env="VOICE_MAX_SPEED", minimum=1
    )


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """Pictures that users send or have drawn."""

    storage_mb: int = setting(500, "MB of pictures one user may keep in DATA_DIR.", env="PICTURE_STORAGE_MB", minimum=1)


@dataclass(frozen=True, slots=True)
class CompatSettings:
    """The older backends whose clients are served beside our own; see docs/compat/"""

    backends: tuple[str, ...] = setting(
        ("all",),
        "Older backends served: all, none, or names; a name may have @/prefix, @:port or @off behind it.",
        env="COMPAT",
    )
    spark_chat: str = setting(
        "/spark",
        "Path under which Spark's own chat protocol is spoken over WebSocket; off for nowhere.",
        env="SPARK_CHAT_PATH",
    )


@dataclass(frozen=True, slots=True)
class SparkMobileSettings:
    """The older backend spark-mobile; see docs/compat/spark-mobile.md"""

    chat_mode: str = setting(
        "json",
        "What /textModel/chat answers: one JSON object, or the stream that the newest mobile client reads.",
        env="SPARK_CHAT_MODE",
        choices=("json", "stream"),
    )
    voice_login: bool = setting(
        False, "Refuse recordings on /voiceModel/chat without a user's headers.", env="SPARK_MOBILE_VOICE_LOGIN"
    )
    admin: str = setting("admin", "Name of the chief administrator of /admin.", env="SPARK_MOBILE_ADMIN")
    admin_password: str = setting(
        "",
        "Password of the chief administrator, 12 characters or more; empty leaves the admin area out.",
        env="SPARK_MOBILE_ADMIN_PASSWORD",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class DoubaoWebSettings:
    """The older backend doubao-web; see docs/compat/doubao-web.md"""

    templates: str = setting(
        "", "Folder of login.html, register.html and chat.html that take the place of ours.", env="DOUBAO_TEMPLATES"
    )


@dataclass(frozen=True, slots=True)
class CloudChatSettings:
    """The older backend cloud-chat; see docs/compat/cloud-chat.md"""

    rounds: int = setting(
        6, "Rounds of a browser's talk that the model is told.", env="CLOUD_CHAT_ROUNDS", minimum=1, maximum=500
    )
    session_expire_s: int = setting(
        3600, "Seconds without a question after which a browser's talk begins anew.", env="SESSION_EXPIRE", minimum=60
    )
    image_size: str = setting("512*512", "Width*height of the pictures it draws.", env="IMAGE_SIZE")
    cookie_secure: str = setting(
        "auto",
        "Send its cookies over TLS only; auto does where the page came so.",
        env="COOKIE_SECURE",
        choices=("auto", "true", "false", "1", "0", "yes", "no", "on", "off"),
    )


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Mail to those who register, or forgot their password, through cloud-chat"""

    smtp_host: str = setting("", "Server that mail is sent through; empty sends none.", env="SMTP_HOST")
    smtp_port: int = setting(587, "Its port.", env="SMTP_PORT", minimum=1, maximum=65535)
    smtp_user: str = setting("", "User name there; empty for none.", env="SMTP_USER")
    smtp_pass: str = setting("", "Password there.", env="SMTP_PASS", secret=True)
    smtp_tls: bool = setting(True, "Turn to TLS before anything is said.", env="SMTP_TLS")
    mail_from: str = setting("", "Sender's address; empty for SMTP_USER.", env="MAIL_FROM")
    mail_sender_name: str = setting("Parley", "Sender's name.", env="MAIL_SENDER_NAME")
    frontend_base_url: str = setting("", "Address of the page that /reset_password is under.", env="FRONTEND_BASE_URL")
    reset_ttl_s: int = setting(900, "Seconds a mailed reset works.", env="PWRESET_TOKEN_TTL", minimum=60, maximum=86400)
    reset_ends_sessions: bool = setting(
        True, "End the browser sessions of who sets a new password by a mailed reset.", env="PWRESET_REVOKE_SESSIONS"
    )
    debug_reset_token: bool = setting(
        False,
        "Tell the reset's token to whoever asks for it, to try a page without mail; on a loopback HOST only.",
        env="DEBUG_RETURN_RESET_TOKEN",
    )


@dataclass(frozen=True, slots=True)
class ChatbotSettings:
    """How the widget of bailian-chatbot looks; see docs/compat/bailian-chatbot.md"""

    online: bool = setting(True, "Show the widget as online.", env="CHATBOT_ONLINE")
    welcome: str = setting("您好，请问有什么可以帮您？", "The widget's first bubble.", env="CHATBOT_WELCOME")
    font_size: int = setting(14, "Pixels of its letters.", env="CHATBOT_FONT_SIZE", minimum=8, maximum=40)
    user_avatar: str = setting("", "Address of the picture beside the visitor's words.", env="CHATBOT_USER_AVATAR")
    bot_image: str = setting("", "Address of the picture beside the answers.", env="CHATBOT_BOT_IMAGE")
    buttons: tuple[str, ...] = setting(
        (), "Questions offered as buttons, as text=question, separated by commas.", env="CHATBOT_BUTTONS"
    )
    image_hosts: tuple[str, ...] = setting(
        (), "Hosts whose pictures are fetched over https for questions that name them.", env="CHATBOT_IMAGE_HOSTS"
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Every slice of the core. Vendors have slices of their own, beside their adapters."""

    server: ServerSettings
    database: DatabaseSettings
    redis: RedisSettings
    accounts: AccountSettings
    turns: TurnSettings
    relay: RelaySettings
    voice: VoiceSettings
    pictures: PictureSettings
    compat: CompatSettings
    spark_mobile: SparkMobileSettings
    doubao_web: DoubaoWebSettings
    cloud_chat: CloudChatSettings
    mail: MailSettings
    chatbot: ChatbotSettings

    @property
    def guests_allowed(self) -> bool:
        if self.accounts.allow_guests == "auto":
            return is_loopback(self.server.host)
        return self.accounts.allow_guests in ("true", "1", "yes", "on")

    @property
    def database_url(self) -> str:
        """What SQLAlchemy is given; SQLite in `data_dir` when nothing is set."""
        return self.database.url or f"sqlite:///{self.server.data_dir.resolve() / 'parley.sqlite3'}"


def load(env: Mapping[str, str]) -> Settings:
    """Read and check the core's settings.

    Raises:
        ConfigError: Names the variable that is wrong and says how to mend it.
    """
    settings = Settings(**{field.name: read(kind, env) for field, kind in slices()})
    if not is_loopback(settings.server.host) and not settings.server.secret_key:
        raise ConfigError(
            f"FLASK_SECRET_KEY must be set when HOST is {settings.server.host}: without it anyone could forge a"
            " session. Put 32 random letters or more in .env.",
            f"FLASK_SECRET_KEY 必须设置，因为 HOST 是 {settings.server.host}：否则任何人都能伪造会话。"
            "请在 .env 中填入 32 个以上的随机字符。",
        )
    _check_workers(settings)
    if settings.database.url and not settings.database.url.startswith(("sqlite:", "mysql+pymysql:")):
        raise ConfigError(
            "DATABASE_URL must begin with sqlite:/// or mysql+pymysql://.",
            "DATABASE_URL 应以 sqlite:/// 或 mysql+pymysql:// 开头。",
        )
    if settings.redis.url and settings.redis.url.partition("://")[0] not in REDIS_FORMS:
        raise ConfigError(
            "REDIS_URL must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://.",
            "REDIS_URL 应以 redis://、rediss://、unix://、redis+sentinel:// 或 redis+cluster:// 开头。",
        )
    return settings


def _check_workers(settings: Settings) -> None:
    wanted = settings.server.workers
    if settings.server.machine_address and not settings.redis.address:
        raise ConfigError(
            "MACHINE_ADDRESS is of use to servers that share a Redis: set REDIS_URL, or leave it empty.",
            "MACHINE_ADDRESS 仅用于共享同一 Redis 的多台服务器：请设置 REDIS_URL，或将其留空。",
        )
    if wanted > 1 and os.name == "nt":
        raise ConfigError(
            f"WORKERS is {wanted}, but on Windows one process serves the port. Set WORKERS=1.",
            f"WORKERS 为 {wanted}，但 Windows 上只能由一个进程服务。请设置 WORKERS=1。",
        )
    if wanted > 1 and not settings.redis.address:
        raise ConfigError(
            f"WORKERS is {wanted}, and several workers are one server only through Redis."
            " Start a Redis and set REDIS_URL, such as REDIS_URL=redis://127.0.0.1:6379/0; or set WORKERS=1.",
            f"WORKERS 为 {wanted}，而多个工作进程须经由 Redis 才能成为同一个服务器。"
            "请启动 Redis 并设置 REDIS_URL，如 REDIS_URL=redis://127.0.0.1:6379/0；或设置 WORKERS=1。",
        )


def slices() -> Iterator[tuple[dataclasses.Field[Any], type]]:
    """The fields of `Settings` with the slice each holds."""
    hints = get_type_hints(Settings)
    for field in dataclasses.fields(Settings):
        yield field, hints[field.name]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


_FOR_CHILDREN = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")


def bare_environment() -> dict[str, str]:
    """What a process at the server's side sees of the environment: no key, no password."""
    return {name: value for name in _FOR_CHILDREN if (value := os.environ.get(name)) is not None}


def environment(folder: Path) -> dict[str, str]:
    """The process environment over the `.env` file of `folder`: what is exported wins."""
    return {**environment_file(folder), **os.environ}


def environment_file(folder: Path) -> dict[str, str]:
    """What the `.env` file of `folder` says; nothing when there is none.

    Raises:
        ConfigError: It cannot be read, or a line is not `NAME=value`.
    """
    path = folder / ".env"
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f".env cannot be read: {fault}.", f".env 无法读取：{fault}。") from None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals:
            raise ConfigError(f".env line {number} must be NAME=value.", f".env 第 {number} 行应为 NAME=value。")
        values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    """The text between quotes, or everything up to a comment."""
    if value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return "" if value.startswith("#") else value.split(" #", 1)[0].rstrip()
