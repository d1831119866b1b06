"""The guards against themselves: what looks ahead is found, what does not is left alone."""

from pathlib import Path

import msgspec
import pytest

from recio.domain.account_config import parse_account
from recio.domain.messages import PriceUpdate
from recio.research import backtest
from recio.research.bias import as_json, check, lines, opener
from recio.research.cutting import CutTape
from recio.research.running import Job, own_strategy
from recio.research.tapes.opening import open_tape
from recio.runtime.local.documents import read_document

EXAMPLES = Path(__file__).parents[3] / "k8s" / "examples"
HOUR_US = 3_600_000_000
HOURS = "packaged-hours?days=1&from=2024-07-02T13:00"
"""Its first hour has entries on several strikes and a stop."""
SECOND_US = 1_000_000


def document(model="Fingerprints", **entry):
    """Return the example account, entering easily, with a model."""
    made = read_document(EXAMPLES / "paper-account.yaml")
    strategy = made["spec"]["strategy"]
    strategy["model"] = model
    strategy["autoEntry"] |= {"minProbabilityPermille": 800, "minNetEdgeBasisPoints": -500} | entry
    return made


def opened(spec=HOURS, seed=1):
    """Return an opener of a tape's first hour and the minute of its result."""

    def make(until_us):
        tape = open_tape(spec, seed=seed)
        end_us = first_us(tape) + HOUR_US + 60 * SECOND_US
        return CutTape(tape, min(end_us, until_us or end_us))

    return make


def first_us(tape):
    """Return when a tape begins."""
    return next(iter(tape.events())).at_us


@pytest.mark.parametrize("model", ["Fingerprints", "Volatility", "Blend"])
def test_our_own_strategies_do_not_look_ahead(model):
    """Rule: with each model the past is the same to the byte wherever the tape ends."""
    found = check(parse_account(document(model)), opened(), latencies_ms=())
    assert found.is_clean, lines(found)
    assert len(found.cuts) == 4
    assert found.cuts[-1].decisions > 100
    if model != "Blend":  # it seldom leaves the market's price far enough to trade in one hour
        assert found.spread[0].trades > 0, "nothing was traded, so little was judged"


def test_the_example_of_a_strategy_of_ones_own_does_not_look_ahead():
    """Rule: the same for the class that a trader copies, in its own process, and it answers alike."""
    config = parse_account(read_document(EXAMPLES / "custom-account.yaml"))
    asked = []

    def play(config, tape, *, sink, seed, latency_ms):
        with own_strategy(config, EXAMPLES / "steady" / "strategy.py") as sandbox:

            def answer(ask):
                told = sandbox.answer(ask)
                asked.append(told.failure)
                return told

            return backtest.run(
                config, tape, sink=sink, seed=seed, latency_ms=latency_ms, answer=answer
            )

    until_us = first_us(open_tape(HOURS)) + HOUR_US
    found = check(
        config, opened(), cuts_us=[until_us - 8 * 60 * SECOND_US], latencies_ms=(), play=play
    )
    assert found.is_clean, lines(found)
    assert len(asked) > 100
    assert set(asked) == {""}


def test_real_books_do_not_look_ahead_either():
    """Rule: the same on the packaged recording of a 15-minute market."""
    made = document()
    made["spec"]["series"] = ["KXBTC15M"]
    middle_us = 1_778_677_800_000_000  # 13:10 UTC
    found = check(
        parse_account(made), lambda _: open_tape("packaged"), cuts_us=[middle_us], latencies_ms=()
    )
    assert found.cuts[0].events > 1000
    assert found.is_clean, lines(found)
    assert "own maker was not judged" in "\n".join(lines(found))


def _any_second(first_us, until_us):
    assert until_us > first_us
    return until_us - until_us % SECOND_US


def test_the_maker_of_made_up_hours_does_not_look_ahead():
    """Rule: a tape whose source ends a day earlier has the same events until then."""
    make, align = opener("packaged-hours?days=3&from=2024-07-02T13:00")
    first_us = first_us_of(make)
    day_us = 24 * HOUR_US
    assert align(first_us, first_us + day_us * 5 // 2) == first_us + 2 * day_us
    assert align(first_us, first_us + day_us // 2) is None
    until_us = first_us + day_us
    early, whole = CutTape(make(until_us), until_us), CutTape(make(None), until_us)
    assert make(until_us).name != make(None).name
    count = 0
    for one, other in zip(early.events(), whole.events(), strict=True):
        assert one == other
        count += 1
    assert count > 10_000


def test_minutes_end_at_full_hours_and_recordings_do_not():
    """Rule: what cannot be cut at its source is said to be so."""
    _, align = opener("minutes:somewhere?from=2024-01-01")
    assert align(0, HOUR_US * 3 // 2) == HOUR_US
    make, align = opener("packaged")
    assert align is None
    assert make(5).name == make(None).name


def first_us_of(make):
    """Return when a tape begins."""
    return first_us(make(None))


class Leaking(CutTape):
    """A tape whose prices are those of a minute later, as far as its source goes."""

    def events(self):
        """Yield each price with the value of a later one."""
        held = list(super().events())
        prices = [event for event in held if isinstance(event, PriceUpdate)]
        ahead = iter([*prices[60:], *[prices[-1]] * 60])
        for event in held:
            if isinstance(event, PriceUpdate):
                yield msgspec.structs.replace(event, spot_usd_e6=next(ahead).spot_usd_e6)
            else:
                yield event


def test_a_tape_that_leaks_the_future_is_found():
    """Rule: prices of a minute later differ as soon as the source ends early."""

    def make(until_us):
        tape = open_tape(HOURS)
        end_us = first_us(tape) + HOUR_US
        return Leaking(tape, min(end_us, until_us or end_us))

    found = check(parse_account(document()), make, align=_any_second, latencies_ms=())
    assert not found.is_clean
    assert all("event of the tape" in cut.difference for cut in found.cuts)
    assert lines(found)[0] == "bias: FOUND"


def test_a_run_that_peeks_is_found():
    """Rule: a bar that follows from the length of the whole tape is no strategy."""

    def peeking(config, tape, *, sink, seed, latency_ms):
        prices = [one.at_us for one in tape.events() if isinstance(one, PriceUpdate)]
        entry = config.strategy.auto_entry
        bar = 800 + len(prices) % 97
        entry = msgspec.structs.replace(entry, min_probability_permille=bar)
        strategy = msgspec.structs.replace(config.strategy, auto_entry=entry)
        config = msgspec.structs.replace(config, strategy=strategy)
        return backtest.run(config, tape, sink=sink, seed=seed, latency_ms=latency_ms)

    found = check(parse_account(document()), opened(), latencies_ms=(), play=peeking)
    assert not found.is_clean
    assert any(cut.difference for cut in found.cuts)


def test_a_run_that_is_not_repeatable_is_found():
    """Rule: what differs the second time is told, though no cut differs."""
    times = []

    def drifting(config, tape, *, sink, seed, latency_ms):
        times.append(1)
        result = backtest.run(config, tape, sink=sink, seed=seed, latency_ms=latency_ms)
        return msgspec.structs.replace(result, refusals={"a": len(times)})

    made = parse_account(document())
    found = check(made, opened(), cuts_us=[], latencies_ms=(), play=drifting)
    assert not found.is_repeatable
    assert not found.is_clean
    assert not as_json(found)["isClean"]


def test_the_spread_and_the_other_process():
    """Rule: another hash seed changes nothing; latencies and seeds are shown with what they earn."""
    made = document()
    until_us = first_us(open_tape(HOURS)) + HOUR_US
    told = []

    def make(seed):
        return lambda _: CutTape(open_tape(HOURS, seed=seed), until_us)

    found = check(
        parse_account(made),
        make(1),
        cuts_us=[],
        elsewhere=Job(name="x", document=made, tape=HOURS, until_us=until_us),
        other_seeds={2: make(2)},
        latencies_ms=(2000,),
        tell=told.append,
    )
    assert found.is_same_elsewhere
    assert found.is_clean
    assert [one.what for one in found.spread] == ["as it is", "latency 2000 ms", "seed 2"]
    assert len(told) == 5


def test_another_outcome_in_another_process_is_found():
    """Rule: a run that depends on where it runs is told (here: a job with another latency)."""
    made = document()
    made["spec"]["series"] = ["KXBTC15M"]
    made["spec"]["strategy"]["autoEntry"] |= {"minProbabilityPermille": 500}
    elsewhere = Job(name="x", document=made, tape="packaged", latency_ms=90_000)
    found = check(
        parse_account(made),
        lambda _: open_tape("packaged"),
        cuts_us=[],
        elsewhere=elsewhere,
        latencies_ms=(),
    )
    assert found.spread[0].trades > 0
    assert found.is_same_elsewhere is False
    assert not found.is_clean
    assert "another process and hash seed: DIFFERENT" in "\n".join(lines(found))
