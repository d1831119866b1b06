"""The report about the models: one HTML page that needs nothing else, and its figures as a document.

Every number is of minutes that the model had not seen, or the page says that it had. Differences are
paired, bands resample whole events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from recio.research import drawing
from recio.research.models import hours, market, scores, yardstick
from recio.research.models.hours import AHEAD, BY_MOMENTUM
from recio.research.models.market import Compared, Row
from recio.research.models.recorded import Results
from recio.research.models.yardstick import AIM, AT_MOST, PUBLISHED, REBUILT, YEAR, Hours, Line

SHOWN: Final = (hours.CONSTANT, f"{REBUILT}{BY_MOMENTUM}", hours.TWENTY, hours.VOLATILITY)
"""Models that are judged in detail; none of them saw the hours that it is judged on."""
BOUND: Final = 0.005
"""What the blend may lose against the market at most, by its one-sided 90 % bound."""
_DIAGRAMS: Final = (60, 15, 5)
CANNOT: Final = (
    (
        "The minutes are one venue's trades, the settlement is an index of several: some basis points "
        "apart, which near the strike decides the last two minutes."
    ),
    (
        "The hours have no recorded market, so nothing here says that a price offered there would have "
        "been wrong. A model that loses less than another may still lose money at every price."
    ),
    (
        "The choice between variants of the model looked at 2024 in the third digit (docs/model.md): "
        "read differences below 0.0002 as nothing."
    ),
    "Profit against our own simulated quotes says nothing about Kalshi.",
)


class Found(NamedTuple):
    """Everything that a page shows."""

    hours: Sequence[Hours]
    compared: Compared | None
    results: Results | None
    command: str


def html(found: Found) -> str:
    """Return the page."""
    sections: list[tuple[str, str]] = [("", _tiles(found))]
    for judged in found.hours:
        sections += _hour_sections(judged)
    if found.compared is not None:
        sections.append(("Against the market's own price", _market(found.compared)))
    if found.results is not None:
        sections.append(("Results without prices", _results(found.results)))
    sections.append(("What cannot be known from this", _cannot(found)))
    lead = (
        "How good the stated probabilities were on minutes that the models had not seen: at set times "
        f"before the close, by log loss and Brier score. Made by `{found.command}`."
    )
    return drawing.page("The models, judged", sections, lead=lead)


def figures(found: Found) -> dict[str, Any]:
    """Return the numbers of the page."""
    document: dict[str, Any] = {"command": found.command, "minutes_to_close": AHEAD}
    for judged in found.hours:
        document[judged.symbol] = {
            "hours": [judged.first, judged.last, judged.judged.hours],
            "left_out": judged.judged.left_out,
            "model": judged.model,
            "fitted": judged.fitted,
            "log_loss": {
                name: [round(loss, 5) for loss in yardstick.losses(judged, name)]
                for name in judged.names()
            },
            "all_times": {line.name: _figures(line) for line in yardstick.lines(judged, SHOWN)},
        }
    if found.compared is not None:
        document["market"] = _market_figures(found.compared)
    return document


def _figures(line: Line) -> dict[str, Any]:
    parts = {name: round(value, 6) for name, value in line.murphy._asdict().items()}
    skill = [round(each, 4) for each in line.skill[:3]]
    return {"log_loss": round(line.log_loss, 5), **parts, "skill_and_band": skill}


def _market_figures(compared: Compared) -> dict[str, Any]:
    return {
        "markets": compared.markets,
        "range": [compared.first, compared.last],
        "left_out": compared.left_out,
        "weight": compared.weight,
        "weight_band": compared.weight_band,
        "columns": ["minutes", "market", "model", "blend", "difference", "upper_90"],
        "rows": [
            [row.ahead, *(round(value, 4) for value in _numbers(row))] for row in compared.rows
        ],
    }


def _numbers(row: Row) -> tuple[float, ...]:
    less = row.blend_less_market
    return row.market, row.model, row.blend, less.mean, less.upper_90


def _tiles(found: Found) -> str:
    shown = []
    for judged in found.hours:
        line = yardstick.lines(judged, SHOWN)[-1]
        beside = f"{judged.judged.hours:,} hours, {line.cases:,} statements"
        name = f"{judged.symbol}: log loss saved against the naive model"
        shown.append((name, f"{line.skill.mean:.1%}", beside))
    if found.compared is not None:
        worst = max(row.blend_less_market.upper_90 for row in found.compared.rows)
        verdict = f"at most {BOUND:+.3f} is wanted; {found.compared.markets} markets"
        shown.append(("Blend less market, worst upper 90 % bound", f"{worst:+.4f}", verdict))
        low, high = found.compared.weight_band
        shown.append(("Weight of the model in the blend", f"{found.compared.weight:g}",
                      f"90 % of resamples: {low:g} to {high:g}"))  # fmt: skip
    return drawing.tiles(shown)


def _hour_sections(judged: Hours) -> list[tuple[str, str]]:
    name = judged.symbol
    return [
        (f"{name}: log loss by minutes to the close", _yardstick(judged)),
        (f"{name}: skill and Brier score", _skill(judged)),
        (f"{name}: what was said and what came true", _reliability(judged)),
        (f"{name}: by distance of the strike", _distance(judged)),
        (f"{name}: month by month", _months(judged)),
    ]


def _yardstick(judged: Hours) -> str:
    rows = [
        [_named(judged, name), *(f"{loss:.4f}" for loss in yardstick.losses(judged, name))]
        for name in judged.names()
    ]
    if judged.symbol == "BTC" and (judged.first[:10], judged.last[:10]) == YEAR:
        rows += [["wanted: at most", *(f"{each:.4f}" for each in AT_MOST)],
                 ["wanted: the aim", *(f"{each:.4f}" for each in AIM)]]  # fmt: skip
    step = hours.STEPS_USD[judged.symbol]
    setting = (
        f"Every full hour from {judged.first} to {judged.last} ({judged.judged.hours:,} hours; "
        f"{judged.judged.left_out} moments left out because a minute is missing), "
        f"the nine strikes nearest to the price in steps of ${step:g}, probabilities clipped "
        "to 0.001 … 0.999. Tables stand at T minutes as they were published; “in the product” "
        "corrects for the averaged settlement."
    )
    said = [drawing.paragraph(setting)]
    if not judged.is_ahead:
        said.append(drawing.note(f"{judged.model} was fitted on minutes up to {judged.fitted[1]}: "
                                 "it has seen hours that it is judged on here."))  # fmt: skip
    return "".join([*said, drawing.table(["minutes to the close", *map(str, AHEAD)], rows)])


def _named(judged: Hours, name: str) -> str:
    """Return a model's name with what it saw."""
    if name.startswith(PUBLISHED):
        return f"{name} (July 2025: saw these hours)"
    if name.startswith(REBUILT):
        return f"{name} ({judged.before[0][:4]} to {judged.before[1][:4]})"
    if name == hours.VOLATILITY:
        return f"{name} ({judged.model})"
    return f"{name} ({judged.deviation:.3%} a minute)" if name == hours.CONSTANT else name


def _skill(judged: Hours) -> str:
    rows = [
        [
            line.name,
            f"{line.log_loss:.4f}",
            f"{line.skill.mean:.1%}",
            f"{line.skill.low:.1%} … {line.skill.high:.1%}",
            *(f"{part:.5f}" for part in line.murphy),
        ]
        for line in yardstick.lines(judged, SHOWN)
    ]
    headers = ["all times together", "log loss", "skill", "90 % band", "Brier", "reliability",
               "resolution", "uncertainty", "rest"]  # fmt: skip
    drawn = drawing.line_chart(
        f"{judged.symbol}: log loss saved against the naive model",
        [_skill_line(judged, name) for name in SHOWN[1:]],
        x_label="minutes to the close",
        y_label="share saved",
    )
    told = (
        "Skill: the share of the naive model's log loss that is saved; its band resamples hours. "
        "Brier = reliability (less is better) - resolution (more is better) + uncertainty (the hours' "
        "own) + what varies inside the bins."
    )
    return drawing.paragraph(told) + drawing.table(headers, rows) + drawn


def _skill_line(judged: Hours, name: str) -> drawing.Line:
    place = SHOWN.index(name)
    known = sorted((ahead, lines[place].skill) for ahead, lines in _by_time(judged))
    return drawing.Line(
        name,
        [(float(ahead), skill.mean) for ahead, skill in known],
        [(float(ahead), skill.low, skill.high) for ahead, skill in known],
    )


def _by_time(judged: Hours) -> list[tuple[int, list[Line]]]:
    return yardstick.by_time(judged, SHOWN)


def _reliability(judged: Hours) -> str:
    drawn = []
    for name in (hours.VOLATILITY, SHOWN[1], hours.CONSTANT):
        for ahead in _DIAGRAMS if name == hours.VOLATILITY else _DIAGRAMS[1:2]:
            all_cases = judged.judged.cases.known_to([name])
            cases = all_cases.where(all_cases.ahead == ahead)
            bins = scores.bins(cases.stated[name], cases.is_yes, cases.event)
            drawn.append(drawing.reliability_diagram(f"{name}, {ahead} minutes", bins))
    told = (
        "Bars are 90 % bands over resampled hours; a point's size is the number of statements. Where "
        "all statements of a bin came out alike there is no band, which is not certainty."
    )
    return drawing.paragraph(told) + drawing.charts(drawn)


def _distance(judged: Hours) -> str:
    rows = []
    for distance, lines in yardstick.by_distance(judged, SHOWN):
        losses = [f"{line.log_loss:.4f}" for line in lines]
        best = lines[-1]
        rows.append([distance, f"{best.cases:,}", *losses, f"{best.skill.mean:.1%}",
                     f"{best.skill.low:.1%} … {best.skill.high:.1%}"])  # fmt: skip
    told = (
        "Distance of the strike from the price in deviations of the naive model over the time left; "
        "all times together. Far strikes are nearly certain: little is to be gained or lost there."
    )
    headers = ["distance", "statements", *SHOWN, "skill of the volatility model", "90 % band"]
    return drawing.paragraph(told) + drawing.table(headers, rows)


def _months(judged: Hours) -> str:
    months = yardstick.by_month(judged, hours.VOLATILITY)
    bars = [(month[2:], skill) for month, _, skill in months]
    told = "The same model over the year: a skill that came from a few weeks alone would show here."
    title = f"{judged.symbol}: log loss saved by the volatility model"
    return drawing.paragraph(told) + drawing.bar_chart(title, bars, y_label="share", signed=True)


def _market(compared: Compared) -> str:
    low, high = compared.weight_band
    setting = (
        f"{compared.markets} consecutive 15-minute markets of {compared.symbol}, {compared.first} to "
        f"{compared.last}; {compared.left_out} moments and {compared.unknown} markets left out. The "
        "market's price is its last trade's, bids and asks were not recorded. The blend moves the "
        "market's log odds towards the model's by a weight fitted on the markets before; the strike "
        "is taken from the venue's minutes. Differences are of log loss, below zero is better than "
        "the market; bounds resample markets."
    )
    rows = []
    for row in compared.rows:
        less, ours = row.blend_less_market, row.model_less_market
        rows.append([
            str(row.ahead), str(row.markets), f"{row.market:.4f}", f"{row.model:.4f}",
            f"{row.blend:.4f}", f"{ours.mean:+.4f}", f"{ours.low:+.4f} … {ours.high:+.4f}",
            f"{less.mean:+.4f}", f"{less.upper_90:+.4f}",
            "yes" if less.upper_90 <= BOUND else "no",
            f"{row.weights[0]:g} … {row.weights[1]:g}",
        ])  # fmt: skip
    headers = ["minutes", "markets", "market", "model", "blend", "model less market", "90 % band",
               "blend less market", "upper 90 %", f"at most {BOUND:+.3f}", "weight on the way"]  # fmt: skip
    band = [(float(row.ahead), row.blend_less_market.low, row.blend_less_market.high)
            for row in reversed(compared.rows)]  # fmt: skip
    points = [(float(row.ahead), row.blend_less_market.mean) for row in reversed(compared.rows)]
    drawn = drawing.line_chart(
        "Log loss of the blend less the market's",
        [drawing.Line("blend less market", points, band)],
        x_label="minutes to the close",
        y_label="difference",
    )
    few = (
        f"Fitted over all {compared.markets} markets the weight is {compared.weight:g}; 90 % of "
        f"resampled sets of markets give {low:g} to {high:g}. So these markets do not tell how much "
        "the model adds to the market's price, nor that it adds anything on other days. They are one "
        "night and morning on one price path; a last trade is a little older than the model's minute. "
        "A difference of log loss is not a profit: the spread and the fee are larger."
    )
    return "".join([drawing.paragraph(setting), drawing.table(headers, rows), drawn, _market_distance(compared),
                    _market_reliability(compared), drawing.note(few)])  # fmt: skip


def _market_distance(compared: Compared) -> str:
    rows = []
    for distance, row in market.by_distance(compared):
        less = row.blend_less_market
        saved = 1 - row.blend / row.market
        rows.append([distance, str(row.markets), f"{row.market:.4f}", f"{row.model:.4f}",
                     f"{row.blend:.4f}", f"{saved:+.1%}", f"{less.mean:+.4f}",
                     f"{less.low:+.4f} … {less.high:+.4f}"])  # fmt: skip
    headers = ["distance of the strike in deviations", "markets", "market", "model", "blend",
               "skill of the blend", "blend less market", "90 % band"]  # fmt: skip
    return drawing.table(headers, rows)


def _market_reliability(compared: Compared) -> str:
    event = np.array([case.close for case in compared.cases])
    is_yes = np.array([case.is_yes for case in compared.cases])
    stated = {
        "market": [case.market for case in compared.cases],
        "volatility model": [case.model for case in compared.cases],
        "blend": [case.blend(compared.walked[case.close]) for case in compared.cases],
    }
    drawn, rows = [], []
    for name, column in stated.items():
        p = np.array(column)
        drawn.append(
            drawing.reliability_diagram(f"{name}, all times", scores.bins(p, is_yes, event))
        )
        parts = scores.murphy(p, is_yes)
        loss = float(scores.log_losses(p, is_yes).mean())
        rows.append([name, f"{loss:.4f}", *(f"{part:.4f}" for part in parts)])
    headers = ["all times together", "log loss", "Brier", "reliability", "resolution",
               "uncertainty", "rest"]  # fmt: skip
    return drawing.table(headers, rows) + drawing.charts(drawn)


def _results(results: Results) -> str:
    moved = "" if results.deviation is None else (
        f" From strike to settlement the index moved by {results.deviation:.3%} in the root mean "
        "square."
    )  # fmt: skip
    return drawing.paragraph(
        f"{results.markets} results of 15-minute markets, {results.first} to {results.last}: YES won "
        f"{results.share_yes:.1%} (90 % band {results.low:.1%} to {results.high:.1%}), so an even "
        f"chance at the opening is not contradicted. {results.with_strike} of them have a strike and a "
        f"settlement; {results.disagreeing} of these disagree with their result.{moved} Neither prices "
        "of the markets nor minutes of the index were recorded with them: they cannot judge a model."
    )


def _cannot(found: Found) -> str:
    said = list(CANNOT)
    if found.compared is not None:
        said.append(f"{found.compared.markets} markets with prices are few: a true weight of 0 and one "
                    "of 0.8 would both look like this.")  # fmt: skip
    return "".join(drawing.paragraph(each) for each in said)


def lines(found: Found) -> list[str]:
    """Return the most important numbers as a terminal shows them."""
    shown = []
    for judged in found.hours:
        shown.append(f"{judged.symbol}, {judged.judged.hours} hours from {judged.first}; log loss at "
                     f"minutes to the close")  # fmt: skip
        shown.append(f"  {'':52}" + "".join(f"{ahead:8}" for ahead in AHEAD))
        for name in judged.names():
            told = _named(judged, name)
            losses = yardstick.losses(judged, name)
            shown.append(f"  {told:52}" + "".join(f"{loss:8.4f}" for loss in losses))
    if found.compared is not None:
        shown += _market_lines(found.compared)
    return shown


def _market_lines(compared: Compared) -> list[str]:
    low, high = compared.weight_band
    shown = [
        f"{compared.markets} markets of {compared.symbol}, {compared.first} to {compared.last}",
        "  minutes   market    model    blend   blend - market   upper 90 %",
    ]
    for row in compared.rows:
        market, model, blend, mean, upper = _numbers(row)
        shown.append(
            f"  {row.ahead:7}{market:9.4f}{model:9.4f}{blend:9.4f}{mean:+17.4f}{upper:+13.4f}"
        )
    shown.append(f"  weight of the model over all: {compared.weight:g}; 90 % of resamples {low:g} to "
                 f"{high:g}: {compared.markets} markets cannot tell it")  # fmt: skip
    return shown
