"""Tapes of real files: what is on them, and what they say of themselves."""

from itertools import pairwise

import pytest
from tests.unit.research.tapes import files

from recio.domain.errors import InvalidValue
from recio.domain.messages import BookUpdate, EventMarkets, PriceHistory, PriceUpdate
from recio.engine.tape import Settled, Traded
from recio.research.tapes.opening import open_tape


def read(spec):
    """Return a tape, all its events and its coverage."""
    tape = open_tape(str(spec))
    events = list(tape.events())
    assert all(b.at_us >= a.at_us for a, b in pairwise(events))
    return tape, events, tape.coverage()


def of(events, kind):
    """Return the events of a kind."""
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Return a folder with the packaged recording, its seconds and its results as files."""
    folder = tmp_path_factory.mktemp("recording")
    files.write(folder / "kxbtc15m_ws_2026-05-13T125943Z.jsonl.gz", files.recording())
    for path in (files.SECONDS, files.SETTLED):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_recording_as_a_file_says_what_the_packaged_one_says(recording):
    """Lines of JSON and packaged frames are one recording; only the results may be more."""
    _, packaged, _ = read("packaged")
    _, events, coverage = read(f"recording:{recording}")
    skipped = (PriceHistory, Settled)
    assert [e for e in events if not isinstance(e, skipped)] == [
        e for e in packaged if not isinstance(e, skipped)
    ]
    assert len(of(events, Settled)) == 3
    assert not coverage.refused


def test_a_result_that_was_not_recorded_is_the_next_windows_strike(tmp_path):
    """The exchange takes one window's settlement as the next one's strike."""
    path = files.write(tmp_path / "kxbtc15m_ws_x.jsonl.gz", files.recording())
    _, events, coverage = read(f"recording:{path}")
    found = {e.ticker[-8:]: (e.result, e.settlement_value_usd_e6) for e in of(events, Settled)}
    assert found == {"30900-00": ("yes", 80_193_520_000), "30915-15": ("yes", 80_285_680_000)}
    assert coverage.share == 0
    assert {hole.reason for hole in coverage.holes} == {"no prices were recorded"}


def test_a_gap_in_the_sequence_loses_the_book_until_it_is_whole_again(tmp_path):
    """Deltas after a lost one would make a book that never was."""
    lines = files.recording()
    del lines[5_000]
    path = files.write(tmp_path / "kxbtc15m_ws_x.jsonl.gz", lines)
    _, events, coverage = read(f"recording:{path}")
    assert coverage.refused["delta after a gap in seq"] == 1
    assert coverage.refused["delta of a book that is not whole"] > 1000
    assert any("gap in seq" in getattr(event, "reason", "") for event in events)


def test_trades_infer_the_price_at_which_somebody_really_traded():
    """The ask is what the last buyer of YES paid, the bid what the last seller got; nothing else."""
    _, events, coverage = read(f"trades:{files.TRADES}")
    paid = {(e.is_taker_yes, e.yes_price_e4, e.qty_e2) for e in of(events, Traded)}
    for book in of(events, BookUpdate):
        (quote,) = book.quotes
        bid = False, quote.yes_bid_e4, quote.yes_bid_qty_e2
        ask = True, quote.yes_ask_e4, quote.yes_ask_qty_e2
        assert quote.yes_bid_e4 is None or bid in paid
        assert quote.yes_ask_e4 is None or ask in paid
        assert None in (quote.yes_bid_e4, quote.yes_ask_e4) or quote.yes_bid_e4 < quote.yes_ask_e4
    assert (coverage.closes_whole, coverage.closes_in_part) == (2, 0)
    assert coverage.rows > 8_000


def test_trades_have_strikes_from_the_minute_before_and_prices_at_the_end_of_minutes():
    """The strike was not recorded; a minute's close is not known before its end."""
    _, events, _ = read(f"trades:{files.TRADES}")
    rows = [line.split(",") for line in files.lines_of(files.MINUTES)[1:]]
    closes = {(int(row[0]) + 60) * 1_000_000: round(float(row[4]) * 1e6) for row in rows}
    prices = {e.at_us: e.index_usd_e6 for e in of(events, PriceUpdate)}
    assert prices
    assert prices.items() <= closes.items()
    for event in of(events, EventMarkets):
        assert event.at_us == event.open_us
        before = next(row for row in rows if int(row[0]) == event.open_us // 1_000_000 - 60)
        mean = sum(float(text) for text in before[1:5]) / 4
        assert event.markets[0].strike_usd_e6 == pytest.approx(mean * 1e6, abs=5_001)


def test_trades_without_minutes_have_no_prices_and_say_so(tmp_path):
    """Without a price there is no probability; the tape is not worth nothing, but covers nothing."""
    path = tmp_path / files.TRADES.name
    path.write_bytes(files.TRADES.read_bytes())
    _, events, coverage = read(f"trades:{path}")
    assert not of(events, PriceUpdate)
    assert coverage.share == 0
    assert coverage.closes_whole == 0
    assert all(e.markets[0].strike_usd_e6 is None for e in of(events, EventMarkets))


def test_results_of_quotes_agree_with_the_strike_of_the_next_window():
    """Two series in one file; where the next strike comes late, the last quotes say the result."""
    _, events, coverage = read(f"quotes:{files.QUOTES}")
    assert {e.symbol for e in of(events, PriceUpdate)} == {"BTC", "ETH"}
    made = {(e.symbol, e.open_us): e for e in of(events, EventMarkets)}
    settled = {e.event_ticker: e for e in of(events, Settled)}
    assert len(settled) == 4
    for (symbol, open_us), event in made.items():
        if event.event_ticker in settled:
            value = made[symbol, open_us + 900_000_000].markets[0].strike_usd_e6
            result = settled[event.event_ticker]
            assert result.settlement_value_usd_e6 in (value, None)
            assert result.result == ("yes" if value >= event.markets[0].strike_usd_e6 else "no")
    assert coverage.rows > 1_000
    assert set(coverage.refused) <= {"quote outside of its market's window"}
    sizes = {q.yes_bid_qty_e2 for e in of(events, BookUpdate) for q in e.quotes if q.yes_bid_e4}
    assert sizes == {100}


def test_quotes_without_strikes_leave_the_market_without_one_unless_the_minute_before_is_there():
    """An unknown strike is unknown."""
    tape, events, coverage = read(f"quotes:{files.ETH_QUOTES}?size=10")
    strikes = {e.markets[0].strike_usd_e6 for e in of(events, EventMarkets)}
    assert None in strikes
    assert coverage.share < 0.5
    assert len(coverage.holes) > 3
    assert "10 contract" in tape.caveat


def test_minutes_of_a_folder_are_found_by_their_names():
    """A file per quarter; the period chooses."""
    day = "from=2026-04-27T18:00&until=2026-04-27T19:00"
    _, events, coverage = read(f"minutes:{files.FOLDER}?{day}")
    assert len(of(events, EventMarkets)) == 1
    assert coverage.closes_whole == 1
    assert coverage.share == 1
    with pytest.raises(InvalidValue, match="found none"):
        open_tape(f"minutes:{files.FOLDER}?series=KXETHD")


def test_a_period_longer_than_the_minutes_is_a_hole():
    """Asked for two hours, had one: half is covered."""
    day = "from=2026-04-27T18:00&until=2026-04-27T20:00"
    _, _, coverage = read(f"minutes:{files.MINUTES}?{day}")
    assert coverage.share == pytest.approx(65 / 120, abs=0.02)


def test_fifteen_minute_markets_along_minutes_take_their_strike_from_the_window_before():
    """As at the exchange."""
    day = "from=2026-04-27T18:00&until=2026-04-27T19:00"
    _, events, _ = read(f"minutes:{files.MINUTES}?{day}&series=KXBTC15M")
    values = {e.event_ticker: e.settlement_value_usd_e6 for e in of(events, Settled)}
    made = of(events, EventMarkets)
    assert len(made) == 4
    for before, after in pairwise(made):
        assert after.markets[0].strike_usd_e6 == values[before.event_ticker]
