"""Builds every service from the settings, and closes them in reverse."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import gevent
from sqlalchemy import Engine, text

from config import Settings
from db.checkpoints import start_checkpoints
from db.engine import make_engine
from db.errors import DatabaseBusy
from db.migrate import upgrade
from db.unit_of_work import UnitOfWork
from services.accounts.accounts import Accounts
from services.accounts.doorkeeper import Doorkeeper
from services.accounts.idle_guests import SWEPT_AT_ONCE, forget_idle_guests
from services.accounts.keyless import KeylessGuests
from services.accounts.passwords import Passwords
from services.accounts.sessions import Sessions
from services.accounts.spark_keys import SparkKeys
from services.accounts.standing import StandingTokens
from services.accounts.tokens import Tokens
from services.clock import Clock, SystemClock
from services.conversations.conversations import Conversations
from services.discovery import collect
from services.errors import ServerBusy
from services.instance import Instance, kept_secret
from services.notes import Notes
from services.picture_assembly import PictureServices, build_pictures, build_store
from services.pictures.store import Pictures
from services.providers.base import ProviderSpec
from services.providers.catalogue import Catalogue
from services.quota.ledger import Ledger
from services.relay.memory_log import MemoryLogs
from services.relay.redis_logs import RedisLogs
from services.relay.watchdog import Watchdog
from services.sharing import Sharing
from services.speech.base import SpeechSpec
from services.speech.catalogue import Recognisers
from services.synthesis.base import SynthesisSpec
from services.synthesis.catalogue import Voices
from services.telemetry.hub_watch import HubWatch
from services.telemetry.metrics import Metrics
from services.turns.bare import BareTurns
from services.turns.checkpoints import Checkpoints
from services.turns.opening import Opening
from services.turns.recovery import Recovery
from services.turns.settlement import Settlement
from services.turns.showing import Showing
from services.turns.speaking import Speaking
from services.turns.takeover import Takeover
from services.turns.text import TextTurns
from services.turns.turns import Turns
from services.turns.voice import VoiceTurns
from services.turns.welcome import Welcomes
from services.wire.redis_link import RedisLink

logger = logging.getLogger(__name__)

DAY_S = 86_400
SIGN_UPS_PER_MINUTE, SIGN_UPS_AT_ONCE = 10, 60
GUESTS_PER_MINUTE, GUESTS_AT_ONCE = 60, 600
"""Each of one address: a school behind one address is let in, a script that makes guests for ever is not."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the edges may use."""

    settings: Settings
    instance: str
    engine: Engine
    uow: UnitOfWork
    clock: Clock
    metrics: Metrics
    notes: Notes
    accounts: Accounts
    tokens: Tokens
    spark_keys: SparkKeys
    sessions: Sessions
    doorkeeper: Doorkeeper
    ledger: Ledger
    conversations: Conversations
    catalogue: Catalogue
    turns: Turns
    text_turns: TextTurns
    recognisers: Recognisers
    voice_turns: VoiceTurns
    speaking: Speaking
    pictures: PictureServices
    welcomes: Welcomes
    sharing: Sharing
    logs: MemoryLogs | RedisLogs
    link: RedisLink | None
    """The way to Redis; None without one."""
    close: Callable[[], None]

    def database_answers(self) -> bool:
        """One trip to the database, for readiness."""
        try:
            with self.uow.read() as session:
                session.execute(text("SELECT 1"))
        except Exception:  # noqa: BLE001 - whatever it is, it is not ready
            return False
        return True

    def relay_works(self) -> bool:
        """Whether turns go from worker to worker, for readiness."""
        return not isinstance(self.logs, RedisLogs) or self.logs.works


def assemble(
    settings: Settings,
    env: Mapping[str, str],
    *,
    clock: Clock | None = None,
    specs: Iterable[ProviderSpec] | None = None,
    speech_specs: Iterable[SpeechSpec] | None = None,
    synthesis_specs: Iterable[SynthesisSpec] | None = None,
) -> Services:
    """Open the database, bring it up to date, end what the last run left, and build the services.

    Args:
        specs: The providers; None for every one that `services.providers` registers.
        speech_specs: The recognisers; None for every one that `services.speech` registers.
        synthesis_specs: The voices; None for every one that `services.synthesis` registers.

    Raises:
        config.ConfigError: A vendor's setting is wrong.
        db.errors.DatabaseUnavailable: The database cannot be reached or used; the message says what to do.
    """
    clock = clock or SystemClock()
    with ExitStack() as stack:
        instance = Instance(settings.server.data_dir)
        stack.callback(instance.close)
        upgrade(settings.database_url, wait_s=settings.database.wait_s)
        engine = make_engine(settings.database_url, pool_size=settings.database.pool_size)
        stack.callback(engine.dispose)
        if (flushing := start_checkpoints(engine)) is not None:
            stack.callback(flushing.close)
        if specs is None:
            specs = collect("services.providers", ProviderSpec)
        sharing = Sharing(settings, clock)
        stack.callback(sharing.close)
        catalogue = Catalogue(specs, env, settings.turns, breaker=sharing.breaker)
        stack.callback(catalogue.close)
        if speech_specs is None:
            speech_specs = collect("services.speech", SpeechSpec)
        recognisers = Recognisers(speech_specs, env)
        stack.callback(recognisers.close)
        if synthesis_specs is None:
            synthesis_specs = collect("services.synthesis", SynthesisSpec)
        voices = Voices(synthesis_specs, env)
        stack.callback(voices.close)
        link = None
        if settings.redis.address:
            link = RedisLink(settings.redis.address, settings.redis.prefix)
            stack.callback(link.close)
        built = _build(settings, env, engine, clock, instance.name, catalogue, recognisers, sharing, link, stack)
        settlement, logs = built.pop("settlement"), built["logs"]
        recovery = Recovery(uow=built["uow"], settlement=settlement, owner=instance.name)
        if isinstance(logs, RedisLogs):
            takeover = Takeover(
                logs=logs,
                turns=built["turns"],
                text_turns=built["text_turns"],
                settlement=settlement,
                recovery=recovery,
                uow=built["uow"],
                clock=clock,
                metrics=built["metrics"],
                owner=instance.name,
            )
            stack.callback(takeover.close)
        else:
            recovery.run()
        built["speaking"] = Speaking(voices=voices, uow=built["uow"], clock=clock, metrics=built["metrics"])
        stack.callback(built["speaking"].close)
        sweeper = gevent.spawn(_sweep_daily, built["uow"], clock, built["pictures"].store)
        stack.callback(sweeper.kill)
        built["instance"] = instance.name
        return Services(settings=settings, engine=engine, clock=clock, close=stack.pop_all().close, **built)


def _sweep_daily(uow: UnitOfWork, clock: Clock, pictures: Pictures) -> None:
    """Forget guests who never wrote, now and every day, a part at a time; then the files nobody owns any more."""
    while True:
        try:
            while forget_idle_guests(uow, clock.now_ms()) == SWEPT_AT_ONCE:
                gevent.sleep(1)
            pictures.sweep()
        except (DatabaseBusy, ServerBusy) as busy:
            logger.warning("idle guests, or files nobody owns, are kept for another day: %s", busy)
        gevent.sleep(DAY_S)


def _build(
    settings: Settings,
    env: Mapping[str, str],
    engine: Engine,
    clock: Clock,
    owner: str,
    catalogue: Catalogue,
    recognisers: Recognisers,
    sharing: Sharing,
    link: RedisLink | None,
    stack: ExitStack,
) -> dict[str, Any]:
    uow = UnitOfWork(engine)
    metrics, notes = Metrics(), Notes()
    logs: MemoryLogs | RedisLogs = MemoryLogs(clock, settings.relay.replay_ttl_s)
    if link is not None:
        logs = RedisLogs(link, clock, worker=owner, ttl_s=settings.relay.replay_ttl_s, lease_s=settings.relay.lease_s)
        stack.callback(logs.close)
        metrics.gauge("parley_logs_copied", "Turns of other workers that are followed here.", lambda: logs.copies)
        metrics.gauge("parley_logs_unsent", "Logs that Redis does not have whole.", lambda: logs.unsent)
    ledger = Ledger(
        initial_tokens=settings.accounts.initial_tokens, initial_pictures=settings.accounts.initial_pictures
    )
    tokens, sessions = Tokens(uow, clock), Sessions(uow, clock)
    sharing.join(notes, tokens, sessions)
    newcomers = sharing.rate_limit("sign-ups", per_minute=SIGN_UPS_PER_MINUTE, burst=SIGN_UPS_AT_ONCE)
    passwords = Passwords()
    stack.callback(passwords.close)
    accounts = Accounts(
        uow=uow,
        clock=clock,
        passwords=passwords,
        tokens=tokens,
        sessions=sessions,
        open_account=ledger.open_account,
        throttle=sharing.throttle("people"),
        registrations=newcomers.take if newcomers is not None else None,
    )
    guests = sharing.rate_limit("guests", per_minute=GUESTS_PER_MINUTE, burst=GUESTS_AT_ONCE)
    conversations = Conversations(uow, clock)
    watchdog = Watchdog(clock)
    stack.callback(watchdog.close)
    stack.callback(HubWatch(clock, metrics.hub_blocked.observe).close)
    checkpoints = Checkpoints(uow, settings.relay.checkpoint_s)
    stack.callback(checkpoints.close)
    settlement = Settlement(uow=uow, ledger=ledger, conversations=conversations, notes=notes, clock=clock)
    stack.callback(settlement.close)
    admission = sharing.admission(settings.turns)
    turns = Turns(
        uow=uow,
        admission=admission,
        logs=logs,
        watchdog=watchdog,
        checkpoints=checkpoints,
        clock=clock,
        settings=settings.turns,
        metrics=metrics,
    )
    store = build_store(settings, uow, clock, metrics, stack)
    showing = Showing(store)
    text_turns = TextTurns(
        turns=turns,
        uow=uow,
        opening=Opening(
            ledger=ledger,
            conversations=conversations,
            clock=clock,
            settings=settings.turns,
            showing=showing,
            owner=owner,
        ),
        settlement=settlement,
        admission=admission,
        catalogue=catalogue,
        ledger=ledger,
        notes=notes,
        clock=clock,
        settings=settings.turns,
        showing=showing,
    )
    voice_turns = VoiceTurns(
        turns=turns,
        text_turns=text_turns,
        recognisers=recognisers,
        uow=uow,
        settlement=settlement,
        admission=admission,
        clock=clock,
        settings=settings.voice,
        metrics=metrics,
        owner=owner,
        notes=notes,
    )
    stack.callback(voice_turns.close)
    bare = BareTurns(
        turns=turns,
        uow=uow,
        ledger=ledger,
        settlement=settlement,
        admission=admission,
        notes=notes,
        clock=clock,
        owner=owner,
    )
    pictures = build_pictures(
        store=store,
        catalogue=catalogue,
        env=env,
        turns=turns,
        bare=bare,
        uploads_folder=settings.server.data_dir / "uploads",
        uow=uow,
        clock=clock,
        metrics=metrics,
        stack=stack,
    )
    metrics.gauge("parley_limits_shared", "1 while limits and breakers are shared.", lambda: float(sharing.is_shared))
    metrics.gauge("parley_notes_waiting", "Notes that other workers are still to be told.", lambda: sharing.waiting)
    metrics.gauge("parley_turns_running", "Turns that run now.", lambda: len(turns))
    metrics.gauge("parley_logs_kept", "Turn logs in memory.", lambda: len(logs))

    def secret() -> str:
        return settings.server.secret_key or kept_secret(settings.server.data_dir)

    sharing.compare_secrets(secret())
    doorkeeper = Doorkeeper(
        accounts=accounts,
        tokens=tokens,
        sessions=sessions,
        keyless=KeylessGuests(
            uow=uow,
            tokens=tokens,
            standing=StandingTokens(uow, clock, key=secret, purpose="Keyless guest"),
            key=secret,
        ),
        guests_allowed=settings.guests_allowed,
        guest_wait_s=guests.take if guests is not None else None,
    )
    limits = {
        "text": 32_000,
        "pictures": 8,
        "window_ms": 250,
        "max_tokens": settings.turns.max_output_tokens,
        "running_turns": settings.turns.max_running,
        "turns_per_minute": settings.turns.starts_per_minute,
    }
    return {
        "uow": uow,
        "metrics": metrics,
        "notes": notes,
        "accounts": accounts,
        "tokens": tokens,
        "spark_keys": SparkKeys(uow, clock, tokens, key=secret),
        "sessions": sessions,
        "doorkeeper": doorkeeper,
        "ledger": ledger,
        "conversations": conversations,
        "catalogue": catalogue,
        "turns": turns,
        "text_turns": text_turns,
        "recognisers": recognisers,
        "voice_turns": voice_turns,
        "pictures": pictures,
        "welcomes": Welcomes(uow=uow, ledger=ledger, clock=clock, limits=limits),
        "settlement": settlement,
        "sharing": sharing,
        "logs": logs,
        "link": link,
    }
