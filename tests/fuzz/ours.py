"""Targets: what our own processes tell each other: the bus, database hints, journals, records, probes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
from fastapi import WebSocketDisconnect
from tests.fuzz.kalshi_rest import T, done
from tests.fuzz.mutators import Binary, Json, Values
from tests.fuzz.oracle import anything, without_storing, wrong
from tests.fuzz.targets import Target

from recio.adapters.postgres import chain, decisions, snapshots
from recio.adapters.redis import resp
from recio.adapters.redis.bus import RedisBus
from recio.apps.db_poller.app import DbPoller
from recio.apps.main_app.hub import Hub, Reader
from recio.apps.system_monitor.probe import _CPU, Probe, _number
from recio.apps.system_monitor.settings import Target as Target_
from recio.domain import messages
from recio.domain.errors import InvalidValue, StrategyFailed, Unavailable
from recio.domain.proposals import Proposal
from recio.domain.stop import StopState
from recio.engine import journal, records, replay
from recio.engine.breakers import Subject
from recio.ports import HttpReply
from recio.runtime.sandbox import wire

NOW_US = 1_795_255_200_000_000
ID = UUID("80853845-8c14-8675-9318-9b640133675b")
_quote = messages.MarketQuote(T, 4400, 500, 4600, 100, 33_896, NOW_US, 7, is_valid=True)
_row = messages.StrikeRow(
    ticker=T, strike_usd_e6=72_749_990_000, buffer_usd_e6=10_000_000, side="yes", p_yes_e6=955_000,
    yes_bid_e4=9400, yes_ask_e4=9500, yes_bid_qty_e2=100, yes_ask_qty_e2=200, yes_edge_e4=-12,
    no_edge_e4=None, volume_e2=33_896, seq=7, book_at_us=NOW_US, is_valid=True, yes_fee_e4=34,
    no_fee_e4=34, p_fingerprints_e6=955_000, p_volatility_e6=954_000,
    p_blend_e6=954_500,
)  # fmt: skip
_both = {"at_us": NOW_US, "seen_us": NOW_US}
SNAPSHOT = messages.Snapshot(
    environment="paper", symbol="BTC", series_ticker="KXBTCD", event_ticker="KXBTCD-26AUG1717",
    title="t", generation=7, open_us=NOW_US, close_us=NOW_US + 1, price_usd_e6=72_760_000_000,
    price_at_us=NOW_US, spot_usd_e6=72_761_000_000, basis_usd_e6=-1_000_000, model="Fingerprints",
    momentum=messages.Momentum(score_e6=43_000, bucket=4, deltas_e6=(1, -2, None, 4, 5, 6),
                               is_complete=False),
    model_version="v1", is_trading_active=True, rows=(_row,), window_average_usd_e6=72_760_000_000,
    window_count=12, volatility_e9=12_345, **_both,
)  # fmt: skip
MESSAGES: tuple[messages.Message, ...] = (
    messages.PriceUpdate(
        environment="paper", symbol="BTC", index_usd_e6=80_193_520_000, index_at_us=NOW_US,
        spot_usd_e6=80_194_000_000, spot_at_us=NOW_US, basis_usd_e6=480_000, window_count=12,
        window_average_usd_e6=80_193_000_000, window_close_us=NOW_US,
        sources=(messages.SourceState("coinbase", 80_194_000_000, NOW_US, is_fresh=True),), **_both),
    messages.PriceHistory(environment="paper", symbol="BTC", source="coinbase",
                          minutes=((NOW_US, 80_194_000_000),), **_both),
    messages.EventMarkets(
        environment="paper", symbol="BTC", series_ticker="KXBTCD", event_ticker="KXBTCD-26AUG1717",
        title="t", open_us=NOW_US, close_us=NOW_US + 1, markets=(messages.MarketInfo(
            ticker=T, strike_usd_e6=72_749_990_000, strike_type="greater", status="active",
            price_ranges=(messages.PriceRange(0, 10_000, 100),), exchange_index=2),), **_both),
    messages.BookUpdate(environment="paper", event_ticker="KXBTCD-26AUG1717", quotes=(_quote,),
                        is_full=True, **_both),
    messages.ExchangeStatus(environment="paper", is_exchange_active=True, is_trading_active=None,
                            is_connected=True, resume_us=NOW_US, **_both),
    SNAPSHOT,
    messages.Change(table="trading.trades", account="paper", row_id=str(ID), **_both),
    messages.Health(service="main_app", account=None, is_ready=False, reason="r", cpu_permille=12,
                    memory_bytes=10**8, level="ok", **_both),
)  # fmt: skip


class NotTaken(Exception):
    """The receiver counted the message and dropped it."""


def _bus_entry(topic: str) -> Callable[[bytes], Any]:
    bus = RedisBus.__new__(RedisBus)
    bus.dropped = dict.fromkeys(messages.TOPICS, 0)  # type: ignore[assignment]

    def decode(data: bytes) -> Any:
        found = bus._decoded(topic, [b"m", data])
        if found is None:
            raise NotTaken
        return found[1]

    return decode


def _bus_targets() -> tuple[Target, ...]:
    made = []
    for topic, kinds in messages.TOPICS.items():
        examples = [each for each in MESSAGES if isinstance(each, kinds)]
        made.append(
            Target(
                name=f"bus {topic}",
                decode=_bus_entry(topic),
                maker=Values(examples),
                examples=[messages.encode(each) for each in examples],
                refusals=(NotTaken,),
                check=without_storing,
                again=messages.encode,
            )
        )
    return tuple(made)


class _Transport(asyncio.Transport):
    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


_LOOP = SimpleNamespace()


def _redis(data: bytes) -> Any:
    """Give a connection with one waiting command some bytes of the server."""
    connection = resp.RespConnection(_LOOP)  # type: ignore[arg-type]
    connection.connection_made(_Transport())
    answer = _Future()
    connection._waiting.append(answer)  # type: ignore[arg-type]
    connection.data_received(data)
    if isinstance(answer.value, Exception):
        raise answer.value
    if answer.value is _NOTHING:
        raise NotTaken
    return answer.value


_NOTHING = object()


class _Future:
    value: Any = _NOTHING

    def done(self) -> bool:
        return self.value is not _NOTHING

    def set_result(self, value: Any) -> None:
        self.value = value

    def set_exception(self, error: Exception) -> None:
        self.value = error


def _is_redis_value(value: Any) -> None:
    if isinstance(value, list):
        for each in value:
            _is_redis_value(each)
    elif not (value is None or type(value) in {bytes, int} or isinstance(value, resp.ServerError)):
        raise wrong("redis", "bytes, a whole number, nothing or a list", value)


_REDIS = (
    b"*1\r\n*2\r\n$22\r\nrecio:paper:snapshots1\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nm\r\n$2\r\nab\r\n",
    b"+PONG\r\n", b":12\r\n", b"-ERR no\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n",
    b"*1\r\n" * 50 + b":1\r\n",
)  # fmt: skip


class _Redis(Binary):
    def make(self, random: Any) -> bytes:
        if random.random() < 0.002:
            return b"*1\r\n" * 5000 + b":1\r\n"
        if random.random() < 0.01:
            return b"*%d\r\n:1\r\n" % int(10 ** (20 * random.random()))
        return super().make(random)


def _poller() -> DbPoller:
    counter = SimpleNamespace(inc=lambda *_: None)
    metrics = SimpleNamespace(counter=lambda *_: counter)
    log = logging.getLogger("tests.fuzz.silent")
    log.disabled = True
    return DbPoller(SimpleNamespace(metrics=metrics, log=log))  # type: ignore[arg-type]


_POLLER = _poller()


def _hint(data: bytes) -> Any:
    _POLLER._pending._waiting.clear()
    _POLLER.take(data.decode("utf-8", "replace"))
    if not _POLLER._pending._waiting:
        raise NotTaken
    return next(iter(_POLLER._pending._waiting.values()))


class _Socket:
    """A browser that says one thing and goes."""

    def __init__(self, text: str) -> None:
        self.texts = [text]

    async def receive_text(self) -> str:
        """Say it, then be gone."""
        if not self.texts:
            raise WebSocketDisconnect
        return self.texts.pop()

    async def close(self, _code: int, _reason: str) -> None:
        """Be sent away."""
        raise NotTaken


def _view(data: bytes) -> Any:
    reader = Reader()
    with contextlib.suppress(WebSocketDisconnect):
        done(Hub._listen(None, _Socket(data.decode("utf-8", "replace")), reader))  # type: ignore[arg-type]
    return reader.wanted


class _Http:
    body = b""

    async def request(self, *_: object, **__: object) -> HttpReply:
        """Answer with the input."""
        return HttpReply(200, {}, self.body)


_HTTP = _Http()
_CLOCK = SimpleNamespace(wall_us=lambda: NOW_US)
_PROBE = Probe(Target_("http://x", (Subject("main_app", "paper"),)), _HTTP, _CLOCK, 1.0)  # type: ignore[arg-type]


def _readyz_reply(data: bytes) -> Any:
    _HTTP.body = data
    return done(_PROBE.ask())


def _usage(data: bytes) -> Any:
    found = _number(_CPU, data)
    return None if found is None else round(found * 1e6)


_STARTED = journal.StopStarted(at_us=NOW_US, account="paper")
_EVENTS = (_STARTED, SNAPSHOT, journal.Gap(3, NOW_US), journal.Stopped(NOW_US))


def _batch(events: tuple[object, ...] = _EVENTS) -> journal.Batch:
    packer = journal.Packer()
    for each in events:
        packer.add(each)
    return journal.Batch(
        owner="paper", host="h", session=ID, seq=1, first_at_us=NOW_US, count=packer.count,
        body=packer.body(),
    )  # fmt: skip


_BATCH = _batch()


def _journal(data: bytes) -> Any:
    """Read a batch whose body was changed and sealed again: the digest does not help then."""
    batch = journal.sealed(msgspec.structs.replace(_BATCH, body=data), b"")
    return list(journal.decoded([batch], replay.STOP.decoder))


def _journal_event(data: bytes) -> Any:
    return _one_event(data, replay.STOP)


def _one_event(data: bytes, fold: replay.Fold) -> Any:
    packer = journal.Packer()
    size = len(data).to_bytes(4, "big")
    packer._parts.append(packer._zlib.compress(size + data))
    batch = msgspec.structs.replace(_BATCH, body=packer.body(), count=1)
    return list(journal.decoded([journal.sealed(batch, b"")], fold.decoder))


class _Snapshots:
    fold = replay.ENTRY

    def begin(self) -> None:
        """Make the fold anew."""
        self.fold = replay.snapshot_fold({})

    def read(self, data: bytes) -> Any:
        """Read one event of the snapshot fold."""
        return _one_event(data, self.fold)


_SNAPSHOTS = _Snapshots()


def _sealed(data: bytes) -> Any:
    """Read a batch that was changed behind the digest's back: never accepted."""
    batch = journal.sealed(_BATCH, b"")
    changed = msgspec.structs.replace(batch, body=data)
    found = list(journal.opened([changed]))
    if data != _BATCH.body:
        raise wrong("journal", "a batch whose digest fits", data)
    return found


class _Tx:
    row: Any = None

    async def fetch_one(self, *_: object) -> Any:
        return (self.row,)

    async def fetch(self, *_: object) -> Any:
        return [(ID, self.row)]


def _stored_json(read: Callable[..., Any]) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        try:
            _TX.row = msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            raise InvalidValue("PostgreSQL's jsonb holds no such thing") from error
        return done(read(_TX, "paper"))

    return decode


_TX = _Tx()
_ENTRY = records.EntryBody(
    gate="", close_us=NOW_US, price_usd_e6=1, price_age_us=1, spot_usd_e6=1, momentum_e6=1,
    momentum_bucket=1, is_momentum_complete=True, model="Fingerprints",
    snapshot_model="Fingerprints", model_version="v", volatility_e9=1, window_average_usd_e6=1,
    window_count=1, strikes=(records.StrikeDecision(T, "yes", 1, 1, 1, 1, 1, ""),), intents=(ID,),
)  # fmt: skip
_STOP = records.StopBody(
    trade_id=ID, market_ticker=T, side="yes", close_us=NOW_US, p_e6=1, bid_e4=1, momentum_e6=1,
    is_flatten=False, price_usd_e6=1, generation=1, state=StopState(),
)  # fmt: skip
_READYZ = {"is_ready": True, "services": [
    {"service": "main_app", "is_ready": False, "account": "paper", "reason": "r"}]}  # fmt: skip
_DATABASE = (msgspec.DecodeError, RecursionError)


def _any(_value: object) -> None:
    """Accept what its type allows: nobody books it."""


def _json(name: str, decode: Callable[[bytes], Any], *examples: Any,
          refusals: tuple[type[Exception], ...], share: float = 1,
          check: Any = None) -> Target:  # fmt: skip
    texts = [msgspec.json.encode(each) for each in examples]
    return Target(name=name, decode=decode, maker=Json(texts), examples=texts, refusals=refusals,
                  check=check or _any, share=share)  # fmt: skip


def _packed(name: str, decode: Callable[[bytes], Any], *examples: Any,
            refusals: tuple[type[Exception], ...], check: Any = None,
            begin: Any = None) -> Target:  # fmt: skip
    return Target(name=name, decode=decode, maker=Values(examples), begin=begin,
                  examples=[msgspec.msgpack.encode(each) for each in examples], refusals=refusals,
                  check=check or _any)  # fmt: skip


TARGETS = (
    *_bus_targets(),
    Target(name="redis reply", decode=_redis, maker=_Redis(_REDIS), examples=_REDIS,
           refusals=(NotTaken, Unavailable, resp.ServerError), check=_is_redis_value, share=2),
    _json("database hint", _hint, {"table": "trading.trades", "account": "paper", "id": str(ID)},
          {"table": "ops.health", "account": "*", "id": None}, refusals=(NotTaken,)),
    _json("browser's view request", _view, {"t": "view", "account": "paper", "event": None}, refusals=(NotTaken,)),
    _json("readyz", _readyz_reply, _READYZ, refusals=()),
    Target(name="metrics", decode=_usage,
           maker=Binary([b"process_cpu_seconds_total 12.5\n", b"process_cpu_seconds_total 1e400\n"]),
           examples=[b"process_cpu_seconds_total 12.5\n"], refusals=(), check=anything, share=0.5),
    Target(name="journal body", decode=_journal, maker=Binary([_BATCH.body]),
           examples=[_BATCH.body], refusals=(InvalidValue,), check=lambda _: None, share=0.5),
    Target(name="journal digest", decode=_sealed, maker=Binary([_BATCH.body]),
           examples=[_BATCH.body], refusals=(InvalidValue,), check=lambda _: None, share=0.3),
    _packed("journal event of the snapshot fold", _SNAPSHOTS.read, *MESSAGES,
            refusals=(InvalidValue,), begin=_SNAPSHOTS.begin),
    _packed("journal event", _journal_event, *_EVENTS, refusals=(InvalidValue,)),
    _packed("entry record", records.read_entry, _ENTRY, refusals=(InvalidValue,)),
    _packed("stop record", records.read_stop, _STOP, refusals=(InvalidValue,)),
    _packed("strategy's answer", wire.read_answer,
            wire.Reply(1, (Proposal(T, "yes", 1, 970_000, 9500, "r"),)), wire.Reply(0, walls=("w",)),
            wire.Reply(2, failure="ValueError"), refusals=(StrategyFailed,)),
    _packed("snapshot row", snapshots._decoded, SNAPSHOT, refusals=(), check=without_storing),
    _packed("record of a trace", chain._unpacked, _ENTRY, refusals=(*_DATABASE, ValueError)),
    _json("automation row", _stored_json(decisions.read_spikes), {"spikes": {}, "reason": "", "event_ticker": None, "paused_until_us": None,
          "cooldown_seconds": 0, "at_us": NOW_US}, refusals=(InvalidValue, *_DATABASE), share=0.5),
    _json("stop row", _stored_json(decisions.read_stops), StopState(), refusals=(InvalidValue, *_DATABASE), share=0.5),
)  # fmt: skip
