"""`recio why`: decisions in plain words, and funnels that say why nothing was bought."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from recio import cli
from recio.adapters.postgres.chain import Chain, Step
from recio.adapters.postgres.config_history import ConfigHistory
from recio.cli_why import funnel_lines, not_lines, why_lines
from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    Model,
    Sizing,
    Strategy,
    Trading,
    to_document,
)
from recio.domain.proposals import Proposal
from recio.domain.units import SECOND_US, as_datetime
from recio.engine import entry, funnel, records, stop
from recio.engine.comparing import made_of
from recio.engine.explaining import WORDS, _strategy_lines, entry_lines
from recio.engine.funnel import OF_ACCOUNT, OF_EVENT, OF_STRIKE, Funnels, asked
from recio.engine.records import Record
from recio.testing import pictures
from recio.testing.pictures import ABOVE, AT_US, BELOW, EVENT, PICTURE

GOLDEN = Path(__file__).parent / "golden"
CONFIG = AccountConfig(
    name="paper",
    strategy=Strategy(
        model=Model.FINGERPRINTS,
        auto_entry=AutoEntry(enabled=True),
        sizing=Sizing(contracts=5),
    ),
)
HISTORY = ConfigHistory(
    "paper", [(1, msgspec.json.encode(to_document(CONFIG)).decode(), as_datetime(AT_US - 1))], []
)
NO_HISTORY = ConfigHistory("paper", [], [])
LOSING = pictures.with_row(PICTURE, BELOW, p_yes_e6=300_000, yes_bid_e4=2_900, yes_ask_e4=3_100)


def is_as_golden(name: str, lines: list[str]) -> None:
    """UPDATE_GOLDEN=1 writes it anew; read it as a trader would."""
    path, text = GOLDEN / f"{name}.txt", "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":  # noqa: TID251 (the switch of a developer)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path} differs; UPDATE_GOLDEN=1 writes it"


def entry_records(*shown, config=CONFIG, switch=Trading.ACTIVE) -> list[Record]:
    """Return the records of the entry fold on these pictures."""
    state = entry.State("paper")
    entry.step(state, entry.Known(config=config, switch=switch, cash_usd_e6=1_000_000_000))
    made = [one for each in shown for one in made_of(entry.step(state, each)[1])]
    return list(dict.fromkeys(one for one in made if isinstance(one, Record)))


def stop_records() -> list[Record]:
    """Return the records of the stop fold on a trade that is being lost."""
    trade = pictures.trade()
    state = stop.State("paper")
    stop.step(state, stop.Known(config=CONFIG, switch=Trading.ACTIVE, trades=(trade,)))
    shown = [pictures.later(LOSING, second, generation=second + 1) for second in range(18)]
    made = [one for each in shown for one in made_of(stop.step(state, each)[1])]
    return [one for one in made if isinstance(one, Record)]


def chain_of(record: Record, market: str, **fields: object) -> Chain:
    """Return a chain with one intent that a decision led to."""
    intent = {"decision_id": str(record.decision_id), "market_ticker": market, **fields}
    steps = (
        Step(at_us=record.at_us, kind="intent", text="auto_entry wants to buy", fields=intent),
        Step(at_us=record.at_us, kind="posting", text="left out here", fields={"book": "cash"}),
    )
    return Chain(
        account="paper", trade_id=None, intent_ids=(UUID(int=1),), steps=steps, pnl_usd_e6=None
    )


def test_an_entry_in_plain_words():
    """What was seen, the numbers beside what was asked, what followed."""
    (record,) = entry_records(PICTURE)
    is_as_golden("entry", why_lines(chain_of(record, BELOW), [record], HISTORY))


def test_a_wish_that_the_gate_refused():
    """Its reason stands at the end."""
    (record,) = entry_records(PICTURE)
    told = why_lines(chain_of(record, ABOVE, refusal="orders per minute"), [record], HISTORY)
    is_as_golden("refused", told)
    assert told[-1] == "The gate refused it: orders per minute."


def test_a_decision_without_a_wish_names_what_came_nearest():
    """The first gate that it failed, and by how much."""
    rules = msgspec.structs.replace(CONFIG.strategy.auto_entry, min_net_edge_basis_points=300)
    config = msgspec.structs.replace(
        CONFIG, strategy=msgspec.structs.replace(CONFIG.strategy, auto_entry=rules)
    )
    document = msgspec.json.encode(to_document(config)).decode()
    history = ConfigHistory("paper", [(1, document, as_datetime(AT_US - 1))], [])
    (record,) = entry_records(PICTURE, config=config)
    is_as_golden("missed", why_lines(None, [record], history))


def test_what_a_strategy_of_one_s_own_said_is_told():
    """Its proposals with their reasons, or why it said nothing."""
    (record,) = entry_records(PICTURE)
    fields = msgspec.structs.asdict(records.read_entry(record.body))
    fields.pop("told", None)
    wish = Proposal(BELOW, "yes", 3, 970_000, reason="a hunch")
    for told, said in (
        (records.Told("Mine", proposals=(wish,)), "Strategy Mine proposed 1 entries."),
        (records.Told("Mine", failure="time is over"), "Strategy Mine failed: time is over."),
    ):
        body = records.StrategyBody(**fields, told=told)
        lines = entry_lines(body, event=EVENT, at_us=AT_US, market=None, config=CONFIG)
        assert said in lines
    assert any("a hunch" in line for line in _strategy_lines(records.Told("x", proposals=(wish,))))


def test_a_stop_in_plain_words():
    """From the first look below the limit to the repeated exit."""
    held = stop_records()
    assert len(held) > 2
    is_as_golden("stop", why_lines(None, held, HISTORY))


def test_without_the_settings_of_that_time_nothing_is_claimed_of_them():
    """What the gates asked is left out, and that is said."""
    (record,) = entry_records(PICTURE)
    told = "\n".join(why_lines(None, [record], NO_HISTORY))
    assert "needs" not in told
    assert "The settings of that time are not known" in told


def test_a_person_s_wish_has_no_decision():
    """And says so."""
    chain = Chain(account="paper", trade_id=UUID(int=2), intent_ids=(), steps=(), pnl_usd_e6=5)
    told = why_lines(chain, [], HISTORY)
    assert any("wished by a person" in line for line in told)
    assert told[-1] == "Result after fees: +0.0000 $."


def funnels(*held: Record, config=CONFIG) -> Funnels:
    """Count records."""
    made = Funnels()
    for one in held:
        made.add(one.event_ticker, one.at_us, records.read_entry(one.body), asked(config))
    return made


def looks() -> list[Record]:
    """Return the records of a minute: a near miss, a held event, a wish."""
    near = pictures.with_row(PICTURE, BELOW, p_yes_e6=948_000, p_fingerprints_e6=948_000)
    old = msgspec.structs.replace(PICTURE, price_at_us=AT_US - 4 * SECOND_US)
    later = [
        pictures.later(near, 0, generation=1),
        pictures.later(near, 2, generation=2),
        msgspec.structs.replace(
            pictures.later(old, 4, generation=3), price_at_us=AT_US + SECOND_US // 2
        ),
        pictures.later(PICTURE, 6, generation=4),
    ]
    return entry_records(*later)


def test_a_funnel_counts_each_strike_at_the_first_gate_it_failed():
    """With the nearest of each gate; a held event's strikes count for nothing."""
    made = funnels(*looks())
    (one,) = made.by_event()
    is_as_golden("funnel", not_lines("paper", made))
    assert one == msgspec.structs.replace(made.total(), name=one.name)
    assert sum(step.failed for step in one.strike_steps) + one.passed == one.strikes
    for steps, all_of_them in ((one.event_steps, one.looks), (one.strike_steps, one.strikes)):
        reached = all_of_them
        for step in steps:
            assert step.reached == reached
            reached -= step.failed


def test_a_miss_tells_its_number_its_need_and_its_time():
    """So that a threshold can be judged."""
    (probability,) = (
        step for step in funnels(*looks()).total().strike_steps if step.gate == "probability"
    )
    assert probability.closest is not None
    assert funnel.told(probability.closest) == "probability 0.948 of 0.950 needed"
    assert (probability.closest.ticker, probability.closest.at_us) == (BELOW, AT_US)


@pytest.mark.parametrize(
    ("gate", "value", "said"),
    [
        ("probability", 949_983, "0.949983"),
        ("probability", 950_000, "0.950"),
        ("edge", -12, "-0.12 cents"),
        ("price_band", 9_900, "99 cents"),
        ("volume", 123_456_700, "1,234,567 contracts"),
        ("book_stale", 5_000_001, "5.000001 s"),
    ],
)
def test_an_amount_is_told_exactly(gate, value, said):
    """A miss by the last digit is not rounded to a hit."""
    assert funnel.amount(gate, value) == said


def test_every_gate_has_words():
    """Also those of the switch; a reason that comes from the data is told as it is."""
    gates = {*OF_EVENT, *OF_STRIKE, *OF_ACCOUNT}
    assert {gate for gate in gates if not gate.startswith("switch_")} <= WORDS.keys()


def test_a_gate_that_is_not_known_yet_is_counted_too():
    """A later version's reason stands before the gates that need data."""
    assert funnel.strike_order(["edge", "strange"])[:3] == (
        "not_in_picture",
        "strange",
        "book_invalid",
    )


def test_an_empty_funnel_says_so():
    """Nothing was decided."""
    assert not_lines("paper", Funnels()) == ["account paper: no entry decision in that time"]
    assert funnel_lines(Funnels().total())[-1].endswith("passed every gate and were proposed")


def test_the_command_explains_a_trade_of_a_run(stepped_url, capsys):
    """By its number, and by its decision."""
    assert cli.main(["why", "paper#1", "--database-url", stepped_url]) == 0
    said = capsys.readouterr().out
    assert "ENTRY DECISION" in said
    assert "no: PROPOSED" in said or "yes: PROPOSED" in said
    assert "WHAT FOLLOWED" in said
    decision = said.partition("ENTRY DECISION ")[2].split()[0]
    assert cli.main(["why", decision, "--database-url", stepped_url]) == 0
    assert f"ENTRY DECISION {decision}" in capsys.readouterr().out


def test_the_command_counts_a_run(stepped_url, capsys):
    """The same numbers as text and as JSON."""
    assert cli.main(["why", "--not", "paper", "--database-url", stepped_url]) == 0
    assert "strikes were judged" in capsys.readouterr().out
    assert cli.main(["why", "--not", "--json", "--database-url", stepped_url]) == 0
    (*events, total) = json.loads(capsys.readouterr().out)["paper"]
    assert sum(one["looks"] for one in events) == total["looks"] > 100
    assert sum(one["passed"] for one in events) == total["passed"]
    words = ["why", "--not", "paper", "--event", "KXBTCD-01JAN0100"]
    assert cli.main([*words, "--database-url", stepped_url]) == 0
    assert "no entry decision in that time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["why"], "expected an ID such as paper#1, or --not"),
        (["why", "paper#99"], "nothing has the id 'paper#99'"),
        (["why", str(UUID(int=9))], "nothing has the id"),
        (["why", "--not", "x"], "no account is called 'x'; there are paper"),
    ],
)
def test_the_command_refuses_what_is_not_there(stepped_url, capsys, words, said):
    """In one line."""
    assert cli.main([*words, "--database-url", stepped_url]) == 1
    assert said in capsys.readouterr().err


def test_the_settings_of_each_time_are_found():
    """A later document, a person's edits on one of them, and nothing before the first."""
    other = msgspec.structs.replace(
        CONFIG, risk=msgspec.structs.replace(CONFIG.risk, max_open_trades=2)
    )
    documents = [
        (number, msgspec.json.encode(to_document(one)).decode(), as_datetime(at_us))
        for number, one, at_us in ((1, CONFIG, 10), (2, other, 30))
    ]
    edits = [(1, '{"strategy":{"autoEntry":{"enabled":false}}}', as_datetime(20))]
    history = ConfigHistory("paper", documents, edits)
    assert history.at(9) is None
    found = [history.at(at_us) for at_us in (10, 20, 30)]
    assert [one.strategy.auto_entry.enabled for one in found if one] == [True, False, False]
    assert [one.risk.max_open_trades for one in found if one] == [3, 3, 2]
    assert ConfigHistory("paper", [(1, "{}", as_datetime(1))], []).at(2) is None
