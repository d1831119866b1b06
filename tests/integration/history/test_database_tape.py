"""What was imported plays as the files it came from would, and tells nothing before its time."""

from __future__ import annotations

import pytest
from tests.fuzz.history import RECORDING
from tests.integration.history.conftest import MINUTES, minute_rows, write

from recio.domain.errors import InvalidValue
from recio.domain.messages import BookUpdate, EventMarkets, PriceHistory, PriceUpdate
from recio.engine.tape import Changed, Loaded, Lost, Settled, Traded
from recio.research.history.database_tape import Wanted, database_tape

OPEN_S = 1_778_676_300  # 2026-05-13 12:45 UTC: KXBTC15M-26MAY130900-00 opens
TICKER = "KXBTC15M-26MAY130900-00"
SETTLED = "ticker,close_ts,strike,settlement_price,result,settlement_ts"


@pytest.fixture
def stored(tmp_path, history):
    """A recording, the minutes of the day, some seconds, and a result."""
    (tmp_path / "r.jsonl").write_bytes(RECORDING)
    minutes = minute_rows(1500, start_s=OPEN_S - 86_400, price=80_000.0)
    seconds = [f"{OPEN_S + 840 + n},{80_000 + n}" for n in range(50)]
    result = f"{TICKER},{OPEN_S + 900},80077.29,80079,yes,{OPEN_S + 930}"
    venue = ("--symbol", "BTC", "--source", "x")
    for words in (
        (tmp_path / "r.jsonl",),
        (write(tmp_path / "m.csv", MINUTES, minutes), *venue),
        (write(tmp_path / "s.csv", "ts,price", seconds), *venue),
        (write(tmp_path / "z.csv", SETTLED, [result]),),
    ):
        status, said = history("import", *words)
        assert status == 0, said


def played(url, **options):
    """Return the tape and its events."""
    tape = database_tape(url, Wanted(series="KXBTC15M", **options))
    return tape, list(tape.events())


@pytest.mark.usefixtures("stored")
def test_a_tape_holds_books_prices_strikes_and_results_in_order(database_url):
    """Each kind of event is there, and time never falls."""
    tape, events = played(database_url)
    times = [event.at_us for event in events]
    assert times == sorted(times)
    kinds = [type(event) for event in events]
    for kind in (Loaded, Changed, Lost, Traded, PriceUpdate, PriceHistory, EventMarkets, Settled):
        assert kind in kinds, kind
    assert tape.coverage().closes_in_part == 1
    assert list(tape.events()) == events


@pytest.mark.usefixtures("stored")
def test_the_book_is_the_one_that_was_recorded(database_url):
    """The snapshot, the change, and the end of the recording."""
    _, events = played(database_url)
    loaded, changed, lost = (
        next(event for event in events if isinstance(event, kind))
        for kind in (Loaded, Changed, Lost)
    )
    assert (loaded.ticker, loaded.yes, loaded.no) == (TICKER, ((10, 100_200), (9940, 500)), ())
    assert (changed.is_yes, changed.price_e4, changed.delta_e2) == (True, 9940, 1000)
    assert lost.reason == "the recording ended"
    assert not any(isinstance(event, BookUpdate) for event in events)


@pytest.mark.usefixtures("stored")
def test_nothing_is_told_before_it_was_known(database_url):
    """A second at its end, a result when it was settled, a strike after the one before settled."""
    _, events = played(database_url)
    first = next(event for event in events if isinstance(event, PriceUpdate))
    second = first.at_us // 1_000_000 - 1
    assert first.index_usd_e6 == (80_000 + second - OPEN_S - 840) * 1_000_000
    settled = next(event for event in events if isinstance(event, Settled))
    assert (settled.at_us, settled.result) == ((OPEN_S + 930) * 1_000_000, "yes")
    known = [
        event
        for event in events
        if isinstance(event, EventMarkets) and event.markets[0].strike_usd_e6 is not None
    ]
    assert known[0].at_us >= (OPEN_S + 25) * 1_000_000
    history = next(event for event in events if isinstance(event, PriceHistory))
    assert max(end for end, _ in history.minutes) <= history.at_us


@pytest.mark.usefixtures("stored")
def test_the_tape_is_as_long_as_what_was_recorded(database_url, tmp_path, history):
    """Results of other days make it no longer, and open no window."""
    later = f"KXBTC15M-26MAY141200-00,{OPEN_S + 900 + 27 * 3600},,,yes,"
    history("import", write(tmp_path / "later.csv", SETTLED, [later]))
    tape, events = played(database_url)
    assert (OPEN_S + 870) * 1_000_000 < tape.coverage().last_us < (OPEN_S + 900) * 1_000_000
    assert not any("141200" in str(event) for event in events)


@pytest.mark.usefixtures("stored")
def test_a_truncated_period_tells_the_same_up_to_its_end(database_url):
    """Cutting off the future changes nothing of the past."""
    _, whole = played(database_url)
    until_us = (OPEN_S + 885) * 1_000_000
    _, cut = played(database_url, until_us=until_us)
    assert [e for e in cut if e.at_us < until_us] == [e for e in whole if e.at_us < until_us]


def test_an_empty_history_makes_no_tape(database_url):
    """The message says where to look."""
    with pytest.raises(InvalidValue, match="recio history show"):
        played(database_url)
    with pytest.raises(InvalidValue, match="expected a ticker of"):
        database_tape(database_url, Wanted(series="KXRAIN"))
