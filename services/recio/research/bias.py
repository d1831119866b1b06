"""Guards against a result that is too good: looking ahead, and results that luck or hashing made.

**Looking ahead.** The tape is played whole, then again and again so that it ends early. What was on
the tape and what was decided before the cut must be the same to the byte: a difference means that
the future was used, by the tape's maker, the strategy, the model or the run. A tape's maker is only
caught where the source itself ends at the cut (``opener``); the findings say whether it did. A cut proves nothing about other times.

**Stability.** The same seed twice must be the same bytes, here and in another process under another
hash seed. How much the profit moves with the latency of orders and with the tape's seed is shown, so
that nobody believes in the last cent.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, Protocol

import msgspec

from recio.domain.account_config import AccountConfig
from recio.engine.records import Record
from recio.engine.tape import Event
from recio.research import backtest
from recio.research.axes import time_text
from recio.research.cutting import CutTape
from recio.research.report import words
from recio.research.result import Nowhere, Result, Sink, TradeLine
from recio.research.running import Digest, Job, Worker, packed
from recio.research.tapes.opening import open_tape
from recio.research.tapes.tape import Coverage, Tape

CUTS: Final = 4
LATENCIES_MS: Final = (50, 300, 1000)
_HOURS: Final = "packaged-hours"
_STEPS_US: Final = {"minutes": 3_600_000_000, _HOURS: 86_400_000_000}
OTHER_HASH_SEED: Final = "4242"
_DECIDED: Final = (
    "number", "market_ticker", "side", "decided_us", "wanted_qty_e2", "p_e6", "market_p_e6", "ask_e4",
    "edge_e4", "seconds_to_close", "momentum_bucket", "decision_id",
)  # fmt: skip
"""What is known of a trade when it is decided; the rest comes later."""


class MakeTape(Protocol):
    """Opens the tape; with a time it may end there, at its source."""

    def __call__(self, until_us: int | None) -> Tape:
        """Return a fresh tape."""
        ...


Align = Callable[[int, int], int | None]
"""Of a tape's first time and another, the last time before it at which its source can end, or None."""


class Play(Protocol):
    """Runs a backtest; ``backtest.run`` is one."""

    def __call__(
        self, config: AccountConfig, tape: Tape, *, sink: Sink, seed: int, latency_ms: int
    ) -> Result:
        """Play the whole tape."""
        ...


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """One early end of the tape. ``difference`` is empty if the past stayed as it was."""

    until_us: int
    is_source_cut: bool
    """Whether the tape's source ended there too, so that its maker was judged."""
    events: int
    decisions: int
    trades: int
    difference: str = ""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a run earns when something that should not matter much is another."""

    what: str
    trades: int
    pnl_usd_e6: int


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the guards saw. None: not tried."""

    cuts: tuple[Cut, ...]
    is_repeatable: bool
    is_same_elsewhere: bool | None
    spread: tuple[Moved, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        looked_ahead = any(cut.difference for cut in self.cuts)
        return not looked_ahead and self.is_repeatable and self.is_same_elsewhere is not False


def check(
    config: AccountConfig,
    make_tape: MakeTape,
    *,
    cuts_us: Sequence[int] | None = None,
    align: Align | None = None,
    elsewhere: Job | None = None,
    other_seeds: Mapping[int, MakeTape] | None = None,
    latencies_ms: Sequence[int] = LATENCIES_MS,
    seed: int = 1,
    latency_ms: int = backtest.LATENCY_MS,
    play: Play = backtest.run,
    tell: Callable[[str], None] | None = None,
) -> Findings:
    """Play the tape several times and return what should not be.

    Args:
        config: the account.
        make_tape: opens the tape anew.
        cuts_us: where to end it; without, at equal parts of its length.
        align: gives the times at which ``make_tape`` ends the tape's source too.
        elsewhere: the same run as a job, to be played in another process.
        other_seeds: openers of the same tape drawn with other seeds.
        latencies_ms: other latencies to try.
        seed: of the tape.
        latency_ms: of the run that is judged.
        play: what runs it.
        tell: told what is being done.

    Raises:
        InvalidValue: the tape cannot be read.
        Broken: the other process ended.
    """
    say = tell or (lambda _: None)

    def go(tape: Tape, sink: Sink, at_ms: int = latency_ms) -> Result:
        return play(config, tape, sink=sink, seed=seed, latency_ms=at_ms)

    say("the whole tape")
    whole = _Trace(make_tape(None))
    whole.result = go(whole, whole)
    cuts = []
    for until_us in _aligned(_cuts(whole) if cuts_us is None else cuts_us, whole, align):
        say(f"ending at {time_text(until_us)}")
        is_source_cut = align is not None and align(whole.event_us[0], until_us) == until_us
        tape = CutTape(make_tape(until_us if is_source_cut else None), until_us)
        cuts.append(_judged(whole, tape, until_us, go, is_source_cut=is_source_cut))
    say("the same once more")
    return Findings(
        cuts=tuple(cuts),
        is_repeatable=_digest(make_tape(None), go) == whole.digest(),
        is_same_elsewhere=_elsewhere(elsewhere, whole.digest(), say),
        spread=(
            _moved("as it is", whole.result),
            *_spread(make_tape, other_seeds or {}, latencies_ms, go, say),
        ),
    )


def opener(spec: str, *, seed: int = 1) -> tuple[MakeTape, Align | None]:
    """Return what opens a tape so that its source ends early, and the times at which it can.

    Minutes can end at any full hour, packaged hours after any full day; recordings cannot.
    """
    kind, _, options = spec.partition("?")
    kind = kind.partition(":")[0]
    step_us = _STEPS_US.get(kind)

    def align(first_us: int, until_us: int) -> int | None:
        assert step_us is not None
        ended_us = first_us + (until_us - first_us) // step_us * step_us
        return ended_us if ended_us > first_us else None

    def make(until_us: int | None) -> Tape:
        if until_us is None or step_us is None:
            return open_tape(spec, seed=seed)
        others = [
            one for one in options.split("&") if one and not one.startswith(("until=", "days="))
        ]
        if kind == _HOURS:
            first_us = next(iter(open_tape(spec, seed=seed).events())).at_us
            end = f"days={(until_us - first_us) // step_us}"
        else:
            end = f"until={time_text(until_us).replace(' ', 'T')}"
        return open_tape(f"{spec.partition('?')[0]}?{'&'.join([*others, end])}", seed=seed)

    return make, None if step_us is None else align


_Go = Callable[..., Result]


class _Trace:
    """A tape that remembers what it gave, and a sink that remembers what was decided after it."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._now_us = 0
        self.event_us, self.event_sums = array("q"), array("Q")
        self.decided_us, self.decision_sums = array("q"), array("Q")
        self.sink = Digest()
        self.result: Result | None = None

    @property
    def name(self) -> str:
        return self._tape.name

    @property
    def is_synthetic(self) -> bool:
        return self._tape.is_synthetic

    @property
    def caveat(self) -> str:
        return self._tape.caveat

    def events(self) -> Iterator[Event]:
        # A run that reads the tape twice is a run like any other, until it looks ahead.
        del self.event_us[:], self.event_sums[:]
        for event in self._tape.events():
            self._now_us = event.at_us
            self.event_us.append(event.at_us)
            self.event_sums.append(_sum(_encoder.encode(event)))
            yield event

    def coverage(self) -> Coverage:
        return self._tape.coverage()

    def decision(self, record: Record) -> None:
        """Remember a decision with the time of the event that it followed."""
        self.decided_us.append(self._now_us)
        self.decision_sums.append(_sum(packed(record)))
        self.sink.decision(record)

    def digest(self) -> str:
        assert self.result is not None
        return self.sink.of(self.result)


_encoder: Final = msgspec.msgpack.Encoder()


def _sum(packed_bytes: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(packed_bytes, digest_size=8).digest(), "big")


def _cuts(whole: _Trace) -> list[int]:
    """Return equal parts between the first and the last decision: before them nothing can differ."""
    times = whole.decided_us or whole.event_us
    if not times:
        return []
    first, last = times[0], times[-1]
    return [first + (last - first) * at // (CUTS + 1) for at in range(1, CUTS + 1)]


def _aligned(cuts_us: Sequence[int], whole: _Trace, align: Align | None) -> list[int]:
    if align is None:
        return list(cuts_us)
    first_us = whole.event_us[0] if whole.event_us else 0
    return sorted({align(first_us, until_us) or until_us for until_us in cuts_us})


def _judged(whole: _Trace, tape: Tape, until_us: int, go: _Go, *, is_source_cut: bool) -> Cut:
    early = _Trace(tape)
    early.result = go(early, early)
    assert whole.result is not None
    kept = _before(whole.decided_us, until_us)
    trades = _decided(whole.result.trades, until_us)
    return Cut(
        until_us=until_us,
        is_source_cut=is_source_cut,
        events=_before(whole.event_us, until_us),
        decisions=kept,
        trades=len(trades),
        difference=(
            _apart(
                "event of the tape", whole.event_us, whole.event_sums, early.event_sums, until_us
            )
            or _apart(
                "decision", whole.decided_us, whole.decision_sums, early.decision_sums, until_us
            )
            or _trades_apart(trades, _decided(early.result.trades, until_us))
        ),
    )


def _before(times: array[int], until_us: int) -> int:
    """Return how many of these times, which never fall, are before a time."""
    return sum(1 for at_us in times if at_us < until_us)


def _apart(
    what: str, times: array[int], whole: array[int], early: array[int], until_us: int
) -> str:
    expected = _before(times, until_us)
    for at in range(min(expected, len(early))):
        if whole[at] != early[at]:
            return f"the {what} after {time_text(times[at])} is another one (number {at + 1})"
    if len(early) < expected:
        return f"{expected - len(early)} of {expected} {what}s are missing"
    return ""


def _decided(trades: Sequence[TradeLine], until_us: int) -> list[TradeLine]:
    return [one for one in trades if one.decided_us < until_us]


def _trades_apart(whole: Sequence[TradeLine], early: Sequence[TradeLine]) -> str:
    others = {one.number: one for one in early}
    for one in sorted(whole, key=lambda trade: trade.number):
        other = others.get(one.number)
        if other is None:
            return f"trade {one.number} of {one.market_ticker} is missing"
        for name in _DECIDED:
            if getattr(one, name) != getattr(other, name):
                return (
                    f"trade {one.number} of {one.market_ticker} has another {name}: "
                    f"{getattr(one, name)} and {getattr(other, name)}"
                )
    return ""


def _digest(tape: Tape, go: _Go) -> str:
    sink = Digest()
    return sink.of(go(tape, sink))


def _elsewhere(job: Job | None, digest: str, say: Callable[[str], None]) -> bool | None:
    if job is None:
        return None
    say("in another process, under another hash seed")
    with closing(Worker({"PYTHONHASHSEED": OTHER_HASH_SEED})) as worker:
        return worker.answer(job).digest == digest


def _spread(
    make_tape: MakeTape,
    other_seeds: Mapping[int, MakeTape],
    latencies_ms: Sequence[int],
    go: _Go,
    say: Callable[[str], None],
) -> Iterator[Moved]:
    for at_ms in latencies_ms:
        say(f"with orders that take {at_ms} ms")
        yield _moved(f"latency {at_ms} ms", go(make_tape(None), Nowhere(), at_ms))
    for number, opener in other_seeds.items():
        say(f"with the tape's seed {number}")
        yield _moved(f"seed {number}", go(opener(None), Nowhere()))


def _moved(what: str, result: Result) -> Moved:
    known = [one.pnl_usd_e6 for one in result.trades if one.pnl_usd_e6 is not None]
    return Moved(what=what, trades=len(known), pnl_usd_e6=sum(known))


def lines(findings: Findings) -> list[str]:
    """Return the findings for a terminal."""
    made = ["bias: nothing found" if findings.is_clean else "bias: FOUND"]
    for cut in findings.cuts:
        said = cut.difference or "the same"
        made.append(
            f"  tape ends {time_text(cut.until_us)}: {cut.events:,} events, {cut.decisions:,} "
            f"decisions, {cut.trades:,} trades before: {said}"
        )
    if not any(cut.is_source_cut for cut in findings.cuts):
        made.append("  the tape's own maker was not judged: its source was not ended early")
    made.append(f"  played again: {'the same bytes' if findings.is_repeatable else 'DIFFERENT'}")
    if findings.is_same_elsewhere is not None:
        said = "the same bytes" if findings.is_same_elsewhere else "DIFFERENT"
        made.append(f"  another process and hash seed: {said}")
    made += [
        f"  {moved.what:<20}{words.dollars(moved.pnl_usd_e6):>14} from {moved.trades} trades"
        for moved in findings.spread
    ]
    return made


def as_json(findings: Findings) -> dict[str, Any]:
    """Return the findings as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(findings)
    return plain | {"isClean": findings.is_clean}
