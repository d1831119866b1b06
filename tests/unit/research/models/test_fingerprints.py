"""Fingerprints counted anew: against a count by hand, over gaps, pooled, weighted, and read back."""

from __future__ import annotations

import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recio.cli import main
from recio.data import minutes as packaged
from recio.domain import momentum
from recio.domain.errors import InvalidValue
from recio.domain.fingerprints import BASELINE, DOWN, UP, Fingerprints
from recio.research.models import fingerprints
from recio.research.models.fingerprints import Wanted
from recio.research.models.minutes import Minutes, Source

START = 1_704_067_200


def history(close):
    """Return minutes with these closes."""
    close = np.asarray(close, dtype=float)
    return Minutes("BTC", START, close, close, close, close, (Source("a.csv", 1, "00"),))


def walk(count, *, seed=1, holes=0):
    """Return closes of a random walk in cents, some of them missing."""
    chance = np.random.default_rng(seed)
    close = np.round(40_000 * np.exp(np.cumsum(chance.normal(0, 8e-4, count))), 2)
    close[chance.integers(1, count - 1, holes)] = np.nan
    return close


def counted(close, wanted=Wanted(least_cases=1)):  # noqa: B008  (immutable)
    """Return the tables as a service reads them."""
    given_ = history(close)
    made = fingerprints.artefact(given_, fingerprints.count(given_, wanted), wanted, "2026-01-01")
    return Fingerprints(made)


def by_hand(close, bucket_of, wanted_bucket, ahead, threshold):
    """Return (up, down, cases) by the definition, one minute after the other."""
    up = down = cases = 0
    for place, price in enumerate(close[: len(close) - ahead]):
        later = close[place + ahead]
        if np.isnan(price) or np.isnan(later) or bucket_of[place] != wanted_bucket:
            continue
        move = (later - price) / price * 100
        cases += 1
        up += move >= threshold
        down += move <= -threshold
    return up, down, cases


def live_buckets(close):
    """Return what the live momentum says after each minute; None: nothing."""
    series, found = momentum.PriceSeries(), []
    for place, price in enumerate(close):
        if np.isnan(price):
            found.append(None)
            continue
        at_us, price_usd_e6 = (START + 60 * (place + 1)) * 1_000_000, round(price * 1e6)
        series.add(at_us, price_usd_e6)
        found.append(momentum.measure(series, at_us, price_usd_e6).bucket)
    return found


@pytest.mark.parametrize(("ahead", "threshold"), [(1, 0.05), (15, 0.25), (60, 1.0)])
def test_it_counts_what_a_count_by_hand_finds(ahead, threshold):
    """A walk with holes: baseline and one bucket, up and down, moves over holes are no cases."""
    close = walk(3_000, holes=40)
    prints, buckets = counted(close), live_buckets(close)
    for bucket in (BASELINE, 2):
        names = [BASELINE] * len(close) if bucket == BASELINE else buckets
        up, down, cases = by_hand(close, names, bucket, ahead, threshold)
        if bucket == 2:
            assert prints.header.pooled[prints.header.buckets.index(2)] == 0
        assert prints.cases(bucket, ahead) == (cases, cases, cases)
        place = round(threshold * 100)
        assert prints.cell(bucket, ahead, place, UP) == round(up / cases * 10_000)
        assert prints.cell(bucket, ahead, place, DOWN) == round(down / cases * 10_000)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30))
def test_momentum_is_the_live_one(seed, holes):
    """All minutes at once give the buckets that the live fold gives one by one."""
    close = walk(200, seed=seed, holes=holes)
    ours = fingerprints.buckets_of(close)
    live = [61 if bucket is None else bucket + 30 for bucket in live_buckets(close)]

    assert ours.tolist() == live


def test_moves_on_a_threshold_reach_it():
    """40,000 to 40,020 is 0.05 % to the cent: it counts, whatever the binary fraction says."""
    prints = counted(np.tile([40_000.0, 40_020.0], 100))

    assert prints.cell(BASELINE, 1, 5, UP) == round(100 / 199 * 10_000)
    assert prints.cell(BASELINE, 1, 5, DOWN) == 0
    assert prints.cell(BASELINE, 2, 5, UP) == 0


def test_unchanged_prices_count_both_ways_and_only_once_as_cases():
    """A price that never moves: the tie is split by the reader."""
    given_ = history(np.full(200, 40_000.0))
    counts = fingerprints.count(given_, Wanted())
    baseline = fingerprints.pooled(counts, 1)[0].counts
    shares = fingerprints.shares(baseline)

    assert shares[0, 0].tolist() == [10_000, 10_000]
    assert shares[0, 1].tolist() == [0, 0]
    assert baseline.cases[0] == 199


def test_few_cases_take_their_neighbours_in():
    """The width is kept, no bucket but the outermost has the outermost's, shares stay monotone."""
    close = walk(20_000)
    prints = counted(close, Wanted(least_cases=5))
    widths = dict(zip(prints.header.buckets, prints.header.pooled, strict=True))

    assert widths[0] == 0
    assert widths[25] > 0
    assert prints.cases(25, 60).effective / 60 >= 5
    assert list(fingerprints._neighbours(28, 3)) == [55, 56, 57, 58, 59]
    assert list(fingerprints._neighbours(30, 1)) == [59, 60]
    for bucket in (-30, 0, 17):
        line = [prints.cell(bucket, 30, at, UP) for at in range(0, 205, 5)]
        assert line == sorted(line, reverse=True)


def test_older_minutes_weigh_less_with_a_half_life():
    """A calm first half and a wild second one: the weighted share is nearer to the second's."""
    calm, wild = np.full(4_000, 40_000.0), walk(4_000)
    plain = counted(np.concatenate([calm, wild]))
    recent = counted(np.concatenate([calm, wild]), Wanted(half_life_days=1.0, least_cases=1))

    assert recent.cell(BASELINE, 5, 10, UP) > plain.cell(BASELINE, 5, 10, UP)
    kept = recent.cases(BASELINE, 5)
    assert kept.cases == plain.cases(BASELINE, 5).cases
    assert kept.weighted < kept.effective < kept.cases


def test_bounds_hold_the_share_and_narrow_with_the_cases():
    """Wilson's interval over cases that do not overlap."""
    few, many = counted(walk(2_000)), counted(walk(40_000))
    for prints in (few, many):
        low, high = prints.bounds(BASELINE, 15, 25, UP)
        assert low < prints.cell(BASELINE, 15, 25, UP) < high
    narrow = [
        high - low for low, high in (each.bounds(BASELINE, 15, 25, UP) for each in (many, few))
    ]
    assert narrow[0] < narrow[1] / 3


def test_too_short_a_history_is_refused():
    """An hour ahead needs more than an hour."""
    with pytest.raises(InvalidValue, match="more than 60 minutes in a row"):
        counted(np.full(60, 40_000.0))


def test_the_command_builds_what_a_service_reads(tmp_path, capsys):
    """From files to an artefact with its provenance; a fault ends with status 1 and its name."""
    recorded = packaged.load("btc_minutes_2024q3")
    first = recorded.pieces[0][0]
    lines = ["ts,open,high,low,close\n"]
    for place in range(5_000):
        prices = [price / 100 for price in recorded.at(first + 60 * place)]
        lines.append(f"{first + 60 * place},{','.join(map(str, prices))}\n")
    (tmp_path / "btc.csv").write_text("".join(lines))
    out = tmp_path / "btc.fingerprints.xz"

    words = ["model", "build", str(tmp_path / "btc.csv"), "--out", str(out)]
    assert main([*words, "--first", "2024-07-02"]) == 0

    read = Fingerprints(lzma.decompress(out.read_bytes()))
    built = read.header.built
    assert (built.first, built.minutes, built.missing) == ("2024-07-02T00:00Z", 5_000 - 1_440, 0)
    assert built.files[0][0] == "btc.csv"
    assert read.cases(BASELINE, 1).cases == 3_559
    assert "15 min 0.25 %" in capsys.readouterr().out
    (tmp_path / "btc.csv").write_text("".join([*lines, lines[1]]))
    assert main(words) == 1
    assert "out of order" in capsys.readouterr().err
    assert main([*words, "--half-life-days", "0"]) == 1
    assert main([*words, "--first", "soon"]) == 1
