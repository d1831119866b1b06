"""The report over minutes of a folder: who is judged on what, and that it says what it saw."""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pytest

from recio import data
from recio.cli import main
from recio.data import minutes as packaged
from recio.domain.errors import InvalidValue
from recio.domain.volatility_model import VolatilityModel
from recio.research.models import hours, minutes, page, recorded, reporting, yardstick
from recio.research.models.scores import log_losses

DAYS = ("2024-07-12", "2024-07-13")
WARM_DAYS = 10
"""Instead of forty, to be quick."""
FIRST_S = 1_719_792_000


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Begin with fewer minutes before the range."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hours, "WARM_MINUTES", WARM_DAYS * 1440)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with Bitcoin's minutes of the first half of July 2024."""
    made = tmp_path_factory.mktemp("recordings")
    recorded_, lines = packaged.load("btc_minutes_2024q3"), ["ts,open,high,low,close,volume\n"]
    for second in range(FIRST_S, FIRST_S + 13 * 86_400, 60):
        if second != FIRST_S + 11 * 86_400 + 59 * 60:  # one hour has no last minute
            prices = ",".join(f"{price / 100:.2f}" for price in recorded_.at(second))
            lines.append(f"{second},{prices},1\n")
    name = "btc_1m_2024-07-01_2024-07-13.csv.gz"
    (made / name).write_bytes(gzip.compress("".join(lines).encode(), 1))
    return made


@pytest.fixture(scope="module")
def judged(folder):
    """Return what was judged on two days."""
    return yardstick.judge(folder, "BTC", data.volatility_bytes("btc"), DAYS, tell=lambda _: None)


def test_the_model_had_not_seen_the_hours_and_beats_the_naive_one(judged):
    """And the page may say so."""
    assert judged.is_ahead
    assert judged.before[1] == "2024-07-11T23:59Z"
    ours, naive = (yardstick.losses(judged, name) for name in (hours.VOLATILITY, hours.CONSTANT))
    assert sum(ours) < sum(naive)


def test_an_hour_without_its_last_minute_is_left_out_and_counted(judged):
    """Seven moments of that hour, and the one that its minute would have ended at."""
    moments = 2 * 24 * len(hours.AHEAD)
    assert judged.judged.left_out == len(hours.AHEAD) + 1
    assert judged.judged.hours == 2 * 24 - 1
    assert len(judged.judged.cases.event) == (moments - judged.judged.left_out) * 9


def test_nothing_after_the_moment_is_used(folder):
    """Other minutes after a moment change the outcome at most, never what was stated."""
    history = minutes.load(minutes.find(folder, "BTC"), "BTC")
    part = history.between(FIRST_S, FIRST_S + 2 * 86_400)
    cut = 2 * 1440 - 30  # half past the last hour
    later = part._replace(
        **{name: getattr(part, name).copy() for name in ("opened", "high", "low", "close")}
    )
    for column in later[2:6]:
        column[cut:] *= 1.01
    model = VolatilityModel(data.volatility_bytes("btc"))

    def stated(bars):
        made = hours.judge(bars, model, (), begin_s=FIRST_S + 86_400, deviation=1e-3).cases
        seen = made.where(made.ahead >= 30)
        return {name: p[-18:] for name, p in seen.stated.items()}

    before, after = stated(part), stated(later)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_skill_murphy_and_bins_fit_each_other(judged):
    """The naive model has no skill; the parts of all cases make their Brier score."""
    lines = {line.name: line for line in yardstick.lines(judged, page.SHOWN)}

    assert lines[hours.CONSTANT].skill.mean == 0
    assert lines[hours.VOLATILITY].skill.low > 0
    cases = judged.judged.cases
    losses = log_losses(cases.stated[hours.VOLATILITY], cases.is_yes)
    assert lines[hours.VOLATILITY].log_loss == pytest.approx(losses.mean())
    counted = sum(lines_[0].cases for _, lines_ in yardstick.by_distance(judged, page.SHOWN))
    assert counted == len(cases.event)
    assert [month for month, _, _ in yardstick.by_month(judged, hours.VOLATILITY)] == ["2024-07"]


def test_the_command_writes_a_page_that_needs_nothing_else(folder, tmp_path, capsys):
    """Plots inline, the models with what they saw, and what cannot be known."""
    out, numbers = tmp_path / "report.html", tmp_path / "figures.json"
    words = ["model", "report", "--data", str(folder), "--first", DAYS[0], "--last", DAYS[0]]

    assert main([*words, "--out", str(out), "--figures", str(numbers)]) == 0

    html = out.read_text()
    assert "<svg" in html
    assert not re.search(r"(src|href)=.http", html)
    assert "What cannot be known from this" in html
    assert "saw these hours" in html
    document = json.loads(numbers.read_text())
    assert document["BTC"]["hours"][2] == 23
    assert len(document["BTC"]["log_loss"][hours.VOLATILITY]) == len(hours.AHEAD)
    assert "volatility model" in capsys.readouterr().out


def test_a_model_that_saw_the_hours_is_told(judged):
    """The page warns; it does not refuse, because a look at the own data may be wanted."""
    seen = judged._replace(is_ahead=False)

    assert "it has seen hours" in page.html(page.Found([seen], None, None, "x"))
    assert "it has seen hours" not in page.html(page.Found([judged], None, None, "x"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--first", "2020-01-01", "--last", "2020-01-02"], "expected files btc_1m_"),
        (["--first", "2024-07-05", "--last", "2024-07-06"], "forty days before"),
        (["--first", "soon"], "expected"),
        (["--symbol", "ETH"], "expected files eth_1m_"),
        (["--only-market"], "kxbtc15m_trades_"),
        (["--model", "/none"], "cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(folder, tmp_path, capsys, words, said):
    """With what was expected, and no page."""
    out = tmp_path / "report.html"
    assert main(["model", "report", "--data", str(folder), "--out", str(out), *words]) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_model_of_another_symbol_is_refused(folder):
    """Ether's model says nothing about Bitcoin."""
    wanted = reporting.Wanted(folder, "BTC", data.volatility_bytes("eth"), DAYS, False, True)  # noqa: FBT003
    with pytest.raises(InvalidValue, match="expected a model of BTC"):
        reporting.find(wanted, tell=lambda _: None)


def test_results_alone_are_summed_up_and_judge_nothing():
    """Share of YES with a band, agreement with the strikes, move from strike to strike."""
    head = "ticker,close_ts,strike,settlement_price,result,settlement_ts,source\n"
    rows = head + "".join(
        f"KXBTC15M-26MAY01{k:04}-00,{1_777_621_500 + 900 * k},{strike},{settled},{result},,a\n"
        for k, (strike, settled, result) in enumerate(
            [("", "", "yes"), ("80000", "80080", "yes"), ("80080", "80000", "no"),
             ("80000", "80001", "no")]
        )
    )  # fmt: skip

    found = recorded.results(recorded.decode_settled("x.csv", rows.encode()))

    assert (found.markets, found.with_strike, found.disagreeing) == (4, 3, 1)
    assert found.low < found.share_yes == 0.5 < found.high
    assert found.deviation == pytest.approx(0.000816, rel=0.01)
    for wrong in (rows[:-1], rows.replace("yes", "maybe"), rows.replace("80000", "much")):
        with pytest.raises(InvalidValue, match=r"half-written|expected a result"):
            recorded.decode_settled("x.csv", wrong.encode())
    with pytest.raises(InvalidValue, match="at least one result"):
        recorded.results([])
