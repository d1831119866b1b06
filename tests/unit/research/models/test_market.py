"""The model beside the market: reading trades, no look-ahead, the weight, and what few markets tell."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from math import exp, log
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from recio import data
from recio.domain.errors import InvalidValue
from recio.domain.volatility_model import VolatilityModel
from recio.research.models import blending, market
from recio.research.models.market import Case
from recio.research.models.minutes import Minutes, Source

START = datetime(2026, 4, 27, 18, 0, tzinfo=UTC)
HEAD = "ticker,ts_ms,yes_price,count,taker\n"


def ticker(close):
    """Return the name of the market that closes then."""
    local = close.astimezone(ZoneInfo("America/New_York"))
    return f"KXBTC15M-{local:%y%b%d%H%M}".upper() + f"-{local:%M}"


def history(count=600, seed=1):
    """Return minutes of a walk from START on."""
    close = 78_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 6e-4, count)))
    opened = np.concatenate([close[:1], close[:-1]])
    start = int(START.timestamp())
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return Minutes("BTC", start, opened, high, low, close, (Source("a", count, "0"),))


def ladder(minutes, markets=24, *, p=0.5, until=None):
    """Return the CSV of trades: one each half minute at ``p``, the last ones at the result."""
    lines = [HEAD]
    for number in range(markets):
        close = START + timedelta(minutes=60 + 15 * number)
        place = int((close - START).total_seconds()) // 60
        strike = minutes.close[place - 16]
        result = "0.99" if minutes.close[place - 1] > strike else "0.01"
        for half in range(30):
            at = close - timedelta(seconds=900 - 30 * half)
            if until is None or at < until:
                lines.append(f"{ticker(close)},{int(at.timestamp() * 1000)},{p},3,y\n")
        lines.append(f"{ticker(close)},{int(close.timestamp() * 1000) - 500},{result},3,n\n")
    return "".join(lines)


def read(tmp_path, content):
    """Write trades and read them."""
    path = tmp_path / "trades.csv.gz"
    path.write_bytes(gzip.compress(content.encode()))
    return market.read_trades([path])


def model():
    """Return the packaged model."""
    return VolatilityModel(data.volatility_bytes("btc"))


def test_a_market_that_knows_nothing_is_beaten_and_gets_little_weight(tmp_path):
    """Trades at one half: late in the window the model is far better, and the weight rises."""
    minutes = history()
    found = market.compare(read(tmp_path, ladder(minutes)), minutes, model())

    assert (found.markets, found.left_out, found.unknown) == (24, 0, 0)
    late = found.rows[-1]
    assert late.ahead == 1
    assert late.market == pytest.approx(log(2))
    assert late.model < late.blend < late.market
    assert late.blend_less_market.upper_90 < 0
    assert found.weight > 0.5
    assert found.weight_band[0] <= found.weight <= found.weight_band[1]
    assert late.weights[0] == 0.0
    near = dict(market.by_distance(found))
    assert sum(row.markets for row in near.values()) >= 24
    assert all(row.market == pytest.approx(log(2)) for row in near.values())


def test_the_weight_of_a_market_comes_from_markets_that_had_closed_before_it_opened(tmp_path):
    """Changing the last result changes no weight on the way."""
    minutes = history()
    trades = read(tmp_path, ladder(minutes))
    last = max(trades.by_ticker, key=lambda name: trades.by_ticker[name][-1][0])
    turned = dict(trades.by_ticker)
    turned[last] = [*turned[last][:-1], (turned[last][-1][0], 1 - turned[last][-1][1])]

    before = market.compare(trades, minutes, model())
    after = market.compare(trades._replace(by_ticker=turned), minutes, model())

    assert before.walked == after.walked
    first = sorted(before.walked)[:10]
    assert [before.walked[close] for close in first] == [0.0] * 10


def test_nothing_after_the_moment_is_used(tmp_path):
    """Trades and minutes after a moment do not change what was stated at it."""
    minutes = history()
    cut = 60 + 15 * 23 - 5
    until = START + timedelta(minutes=cut)
    shorter = minutes._replace(**{
        name: getattr(minutes, name)[:cut] for name in ("opened", "high", "low", "close")
    })  # fmt: skip

    whole, _, _ = market.cases(read(tmp_path, ladder(minutes)), minutes, model())
    part, left_out, _ = market.cases(read(tmp_path, ladder(minutes, until=until)), shorter, model())

    known = {(case.close, case.ahead): case for case in whole}
    assert left_out == 3
    assert part
    assert all(known[case.close, case.ahead] == case for case in part)


def test_unknown_results_and_moments_are_counted(tmp_path):
    """A market whose last trade is at one half has no result; without minutes there is no case."""
    minutes = history()
    lines = ladder(minutes, 12).splitlines(keepends=True)
    found = market.compare(read(tmp_path, "".join(lines[:-1])), minutes, model())

    assert (found.markets, found.unknown) == (11, 1)
    later = minutes._replace(start_s=minutes.start_s + 86_400 * 30)
    with pytest.raises(InvalidValue, match="minutes around these markets"):
        market.compare(read(tmp_path, ladder(minutes)), later, model())


def test_the_blend_moves_log_odds():
    """Weight 0 is the market, 1 the model, between them on the line."""
    case = Case(0, 5, 0.6, 0.8, is_yes=True, distance=0.0)

    assert case.blend(0.0) == pytest.approx(0.6)
    assert case.blend(1.0) == pytest.approx(0.8)
    middle = (log(0.6 / 0.4) + log(0.8 / 0.2)) / 2
    assert case.blend(0.5) == pytest.approx(1 / (1 + exp(-middle)))


def test_few_markets_give_no_weight():
    """Nine markets are no evidence."""
    few = [Case(close, 5, 0.5, 0.99, is_yes=True, distance=0.0) for close in range(9)]

    assert market.fit(few) == 0.0
    assert market.fit([*few, few[0]._replace(close=9)]) > 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + "A,1777314601160,0.49,30", "half-written"),
        (HEAD + "A,1777314601160\n", "row 2: expected a trade"),
        (HEAD + "A,1777314601160,49,30,n\n", "row 2: expected a price between 0 and 1"),
        (HEAD + "A,1777314601,0.49,30,n\n", "row 2: expected a price between 0 and 1"),
        (HEAD + "A,1777314601160,nan,30,n\n", "row 2: expected a price between 0 and 1"),
        ("a,b,c\n", "expected ticker,ts_ms,yes_price"),
    ],
)
def test_what_is_no_trade_is_refused(content, said):
    """With its row: cents for dollars, seconds for milliseconds, a line that was cut."""
    with pytest.raises(InvalidValue, match=said):
        market.decode_trades("x.csv", content.encode())
    with pytest.raises(InvalidValue, match="half-written"):
        market.decode_trades("x.csv.gz", gzip.compress(content.encode())[:-9])
    with pytest.raises(InvalidValue, match="a file of trades"):
        market.read_trades([])


def test_the_weight_goes_into_the_artefact(tmp_path):
    """With the markets that it comes from; everything else stays."""
    minutes = history()
    trades = read(tmp_path, ladder(minutes))
    compared = market.compare(trades, minutes, model())

    made = blending.with_blend(data.volatility_bytes("btc"), compared, trades, day="2026-11-22")

    read_again = VolatilityModel(made).parameters
    assert read_again.blend.source == "trades.csv.gz"
    assert read_again.blend.weights == (compared.weight, compared.weight)
    assert (read_again.blend.markets, read_again.blend.sha256) == (24, trades.sha256)
    before, after = json.loads(data.volatility_bytes("btc")), json.loads(made)
    assert {**before, "blend": None} == {**after, "blend": None}
