"""Tapes that need no files: they work on a fresh install."""

from itertools import pairwise

import pytest

from recio.domain.errors import InvalidValue
from recio.domain.messages import BookUpdate, EventMarkets, PriceUpdate
from recio.engine import snapshot
from recio.engine.tape import ENVIRONMENT, Changed, Loaded, Settled
from recio.research.tapes.opening import SPECS, open_tape

BUS = (PriceUpdate, EventMarkets, BookUpdate)


@pytest.fixture(scope="module")
def packaged():
    """Return the packaged recording, read to its end."""
    tape = open_tape("packaged")
    return tape, list(tape.events())


def hours(spec="packaged-hours?days=1", **options):
    """Return a tape along packaged minutes, read to its end."""
    tape = open_tape(spec, **options)
    return tape, list(tape.events())


def never_falls(events):
    """Tell whether time never falls."""
    return all(b.at_us >= a.at_us for a, b in pairwise(events))


def test_the_packaged_recording_holds_three_markets_and_two_results(packaged):
    """One of them whole: its last five minutes, its prices and its result are there."""
    tape, events = packaged
    coverage = tape.coverage()
    results = {e.ticker: e.result for e in events if isinstance(e, Settled)}
    assert results == {"KXBTC15M-26MAY130900-00": "yes", "KXBTC15M-26MAY130915-15": "yes"}
    assert (coverage.closes_whole, coverage.closes_in_part) == (1, 2)
    assert coverage.share == 1
    assert not coverage.refused
    assert not tape.is_synthetic
    assert never_falls(events)


def test_reading_a_tape_again_gives_the_same(packaged):
    """A look-ahead detector reads a tape many times."""
    tape, events = packaged
    assert list(tape.events()) == events


def test_a_recorded_book_replayed_from_the_tape_is_never_below_nothing(packaged):
    """What the tape says is what the exchange said: whole books and their changes."""
    _, events = packaged
    books = {}
    for event in events:
        if isinstance(event, Loaded):
            books[event.ticker] = {(True, p): q for p, q in event.yes}
            books[event.ticker] |= {(False, p): q for p, q in event.no}
        elif isinstance(event, Changed):
            level = event.is_yes, event.price_e4
            books[event.ticker][level] = books[event.ticker].get(level, 0) + event.delta_e2
            assert books[event.ticker][level] >= 0
    assert len(books) == 3


def test_made_hours_have_a_result_for_every_market_and_say_that_they_are_made_up():
    """Nobody may read profit from them."""
    tape, events = hours()
    markets = [m.ticker for e in events if isinstance(e, EventMarkets) for m in e.markets]
    settled = {e.ticker: e for e in events if isinstance(e, Settled)}
    assert sorted(settled) == sorted(markets)
    assert tape.coverage().closes_whole == 24
    assert tape.coverage().share == 1
    assert tape.is_synthetic
    assert "nothing about the exchange" in tape.caveat
    assert never_falls(events)


def test_results_follow_from_the_prices_that_were_told():
    """A market settles on the mean of the sixty seconds before its close."""
    _, events = hours()
    prices = {e.at_us // 1_000_000: e.index_usd_e6 for e in events if isinstance(e, PriceUpdate)}
    closes = {e.event_ticker: e.close_us for e in events if isinstance(e, EventMarkets)}
    for event in (e for e in events if isinstance(e, Settled)):
        close_s = closes[event.event_ticker] // 1_000_000
        mean = sum(prices[s] for s in range(close_s - 59, close_s + 1)) / 60
        assert event.settlement_value_usd_e6 == pytest.approx(mean, abs=5_001)
        strike = round(float(event.ticker.rpartition("T")[2]) * 1e6)
        assert event.result == ("yes" if event.settlement_value_usd_e6 > strike else "no")


@pytest.mark.parametrize("regime", ["recorded", "calm", "trending", "jumpy", "thin"])
def test_made_quotes_can_be_traded_in_every_regime(regime):
    """On the grid of a cent, never crossed, with something to trade on each side that exists."""
    _, events = hours(f"packaged-hours?days=1&regime={regime}")
    quotes = {q for e in events if isinstance(e, BookUpdate) for q in e.quotes}
    for quote in quotes:
        bid, ask = quote.yes_bid_e4, quote.yes_ask_e4
        assert bid is None or (0 < bid < 10_000 and bid % 100 == 0 and quote.yes_bid_qty_e2 > 0)
        assert ask is None or (0 < ask < 10_000 and ask % 100 == 0 and quote.yes_ask_qty_e2 > 0)
        assert bid is None or ask is None or bid < ask


def test_a_seed_makes_another_path_along_the_same_minutes():
    """Seconds and quotes are drawn, minute closes are real."""
    _, one = hours(seed=1)
    _, same = hours(seed=1)
    _, other = hours(seed=2)
    assert one == same
    assert one != other
    minutes = [
        {e.at_us: e.index_usd_e6 for e in each
         if isinstance(e, PriceUpdate) and e.at_us % 60_000_000 == 0}
        for each in (one, other)
    ]  # fmt: skip
    assert minutes[0] == minutes[1]


def test_the_fold_of_live_takes_every_message_of_a_tape():
    """Nothing is refused: tickers parse, closes fit, prices are not from the future."""
    _, events = hours("packaged-hours?days=1")
    state = snapshot.State(ENVIRONMENT, fingerprints={})
    pictures = 0
    for event in events[:4000]:
        if isinstance(event, BUS) or event.__struct_config__.tag == "exchange_status":
            state, made = snapshot.step(state, event)
            pictures += len(made)
    assert pictures > 1000
    assert not +state.refused


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "expected a tape of packaged"),
        ("nonsense", "expected a tape of packaged"),
        ("packaged:/tmp", "takes no path"),
        ("packaged?x=1", "option 'x'"),
        ("minutes", "needs a path"),
        ("minutes:/nowhere/at/all", "there is no"),
        ("database:KXBTC15M?from=never", "expected from as"),
        ("database:KXBTC15M?x=1", "option 'x'"),
        ("database-minutes:KXBTCD?until=2024-01-02", "expected from as"),
        ("database-minutes:KXNONE?from=2024-01-01&until=2024-01-02", "expected a ticker of"),
        ("packaged-hours?days=0", "days from 1 to 92"),
        ("packaged-hours?days=many", "days from 1 to 92"),
        ("packaged-hours?regime=wild", "no regime is called"),
        ("packaged-hours?from=yesterday", "expected from as 2024-01-31"),
        ("packaged-hours?from=2024-07-02T00:30", "full hour"),
        ("packaged-hours?edge_bp=9999", "edge_bp from"),
    ],
)
def test_a_wrong_spec_is_answered_with_what_there_is(spec, words):
    """The message mends it."""
    with pytest.raises(InvalidValue, match=words):
        open_tape(spec)


def test_a_history_needs_a_database(monkeypatch, tmp_path):
    """The message says where it is looked for."""
    monkeypatch.chdir(tmp_path)
    for name in ("RECIO_DATABASE_URL", "RECIO_DATABASE_LISTEN_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidValue, match="expected RECIO_DATABASE_URL"):
        open_tape("database:KXBTC15M")


def test_a_period_without_minutes_is_refused_as_a_whole():
    """Nothing to play is no empty success."""
    with pytest.raises(InvalidValue, match="not one row can be used"):
        list(open_tape("packaged-hours?from=2020-01-01").events())


def test_every_kind_is_explained():
    """The list is what the command's help shows."""
    assert all(SPECS.values())
