"""Disputes: what was told is kept, a person decides, and account sync does what was decided."""

from __future__ import annotations

import argparse

import pytest
from tests.integration.money.scene import CLOSE_US, DOLLAR, MARKET, OTHER, login_url

from recio import cli_disputes
from recio.adapters.postgres import disputes
from recio.adapters.postgres.database import PostgresDatabase
from recio.adapters.postgres.failures import DatabaseRejected
from recio.apps.kalshi_account_sync import checking
from recio.apps.kalshi_account_sync.accepting import Accepting
from recio.apps.kalshi_account_sync.doubts import AGREE, Doubts
from recio.domain.disputes import (
    BOOKABLE,
    EXPLANATION_CHARACTERS,
    Contradiction,
    Reason,
    check_decision,
)
from recio.domain.errors import Rejected
from recio.domain.orders import BookSide


@pytest.fixture
def doubts(scene):
    """The doubts of the account."""
    return Doubts(scene.context("kalshi_account_sync"), scene.account)


@pytest.fixture
def accepting(scene, doubts):
    """What carries decisions out."""
    return Accepting(scene.context("kalshi_account_sync"), scene.account, doubts)


@pytest.fixture
def page(module_database_url, runner):
    """The database as main_app reaches it."""
    port = PostgresDatabase(login_url(module_database_url, "recio_main_app"), name="page")
    yield port
    runner.run(port.close())


def found(reason=Reason.FILL_EXCEEDS_ORDER, subject="f1", told=None, **held):
    """Return a contradiction."""
    return Contradiction(reason, subject, "it cannot be", told=told or {"n": 1}, held=held)


async def decide(port, scene, dispute, *, is_accepted):
    """Decide as a person on the page does."""
    async with port.transaction() as tx:
        return await disputes.decide(
            tx,
            scene.account,
            dispute.dispute_id,
            is_accepted=is_accepted,
            note="I looked",
            author="ada",
            at_us=scene.now_us,
        )


async def breaker(scene):
    """Return the state of the switch, and its reason."""
    return await scene.one(
        "SELECT state::text, reason FROM trading.switches "
        "WHERE scope = %s AND source = 'breaker:books'",
        scene.account,
    )


def test_a_contradiction_is_kept_once_and_holds_until_it_is_discarded(scene, doubts, page, runner):
    """Told again it is the same row; discarded it does not come back; other contents do."""

    async def play():
        for _ in range(3):
            await doubts.raise_(found())
        (one,) = await doubts.settle()
        assert await breaker(scene) == ("NoNewEntries", "fill_exceeds_order: it cannot be")
        await decide(page, scene, one, is_accepted=False)
        await doubts.raise_(found())
        assert await doubts.settle() == []
        assert await breaker(scene) == ("Active", AGREE)
        await doubts.raise_(found(told={"n": 2}))
        assert len(await doubts.settle()) == 1
        return await scene.states("disputes", one.dispute_id)

    assert runner.run(play()) == ["open", "discarded"]


def test_a_difference_counts_when_it_has_stood_and_ends_when_it_is_gone(scene, doubts, runner):
    """Five seconds for cash; one look without it ends it; it may come again."""
    told = found(Reason.CASH_DIFFERS, "", cash_usd_e6=1)

    async def look(*raised):
        doubts.begin()
        for each in raised:
            await doubts.raise_(each)
        await doubts.end({Reason.CASH_DIFFERS})
        return len(doubts.undecided)

    async def play():
        counts = [await look(told)]
        for pause_s in (4.9, 0.1):
            scene.clock.pass_time(pause_s)
            counts.append(await look(told))
        counts.append(await look())
        counts.append(await look(told))
        scene.clock.pass_time(5)
        counts.append(await look(told))
        return counts

    assert runner.run(play()) == [0, 0, 1, 0, 0, 1]


def test_a_start_finds_what_was_held_before(scene, doubts, runner):
    """The switch outlives the process, and is released by the next one's look."""

    async def play():
        told = found(Reason.POSITIONS_DIFFER, MARKET)
        await doubts.raise_(told)
        scene.clock.pass_time(5)
        await doubts.raise_(told)
        again = Doubts(scene.context("kalshi_account_sync"), scene.account)
        again.begin()
        await again.end({Reason.CASH_DIFFERS})
        before = await breaker(scene)
        await again.end({Reason.POSITIONS_DIFFER})
        return before[0], (await breaker(scene))[0]

    assert runner.run(play()) == ("NoNewEntries", "Active")


def test_an_exchange_that_tells_absurdities_for_ever_fills_no_disk(scene, doubts, runner):
    """Two hundred are kept; the switch holds anyway."""

    async def play():
        for number in range(disputes.OPEN_AT_MOST + 5):
            await doubts.raise_(found(subject=f"f{number}"))
        return len(await doubts.settle()), (await breaker(scene))[1]

    count, reason = runner.run(play())

    assert count == disputes.OPEN_AT_MOST
    assert reason.endswith("and 197 more")


def test_evidence_is_kept_whatever_it_is_made_of(doubts, runner):
    """NUL, line ends, a megabyte: what cannot be stored as it is must not stop the reconciliation."""

    async def play():
        for number, odd in enumerate(
            ["a\x00b", "line\nline", "x" * 1_000_000, "\u2028", "\\u0000"]
        ):
            told = {"raw": odd[:4_000], "n": number}
            await doubts.raise_(Contradiction(Reason.FACT_UNREADABLE, odd, odd, told=told))
        return await doubts.settle()

    kept = runner.run(play())

    assert len(kept) == 5
    assert all(each.explanation.isprintable() for each in kept)
    assert max(len(each.explanation) for each in kept) == EXPLANATION_CHARACTERS


def test_an_accepted_fill_is_booked_as_it_was_told(scene, doubts, accepting, page, runner):
    """An overfill: it cannot stand under the order, so it is a position opened by hand."""

    async def play():
        trade_id = await scene.enter()
        order_id = await scene.entry_order(trade_id)
        await scene.send(order_id)
        told = await scene.fill_of(order_id, qty_e2=1_200)
        with pytest.raises(Contradiction) as caught:
            await scene.book_fill(told)
        await doubts.raise_(caught.value)
        (one,) = await doubts.settle()
        await decide(page, scene, one, is_accepted=True)
        await accepting.book()
        await scene.assert_books_agree()
        trades = await scene.rows(
            "SELECT source, market_ticker FROM trading.trades WHERE account = %s ORDER BY number",
            scene.account,
        )
        booked = await scene.one(
            "SELECT qty_e2, order_id FROM trading.fills WHERE account = %s", scene.account
        )
        return trades, booked, await breaker(scene), await scene.states("disputes", one.dispute_id)

    trades, booked, switch, states = runner.run(play())

    assert trades == [("auto_entry", MARKET), ("external", MARKET)]
    assert booked == (1_200, None)
    assert switch == ("Active", AGREE)
    assert states == ["open", "accepted", "booked"]


def test_an_accepted_difference_of_cash_is_booked_against_suspense(
    scene, doubts, accepting, page, runner
):
    """Once, to the micro-dollar that was seen; it is no deposit and no result."""

    async def play():
        told = Contradiction(
            Reason.CASH_DIFFERS,
            "",
            "a cent",
            told={"cash_usd_e6": 1_000 * DOLLAR - 10_000},
            held={"cash_usd_e6": 1_000 * DOLLAR},
        )
        await doubts.raise_(told)
        scene.clock.pass_time(5)
        await doubts.raise_(told)
        (one,) = await doubts.settle()
        await decide(page, scene, one, is_accepted=True)
        await accepting.book()
        await accepting.book()
        await scene.assert_books_agree()
        return await scene.rows(
            "SELECT t.kind, p.book, p.amount_usd_e6 FROM trading.ledger_transactions t "
            "JOIN trading.ledger_postings p USING (transaction_id) "
            "WHERE t.account = %s AND t.kind = 'correction' ORDER BY p.book",
            scene.account,
        )

    assert runner.run(play()) == [
        ("correction", "cash", -10_000),
        ("correction", "suspense", 10_000),
    ]


def test_cash_is_not_booked_while_something_else_may_explain_it(scene, doubts, page, runner):
    """The fact would be booked as well, and the money twice."""

    async def play():
        cash = found(Reason.CASH_DIFFERS, "", cash_usd_e6=1)
        await doubts.raise_(found())
        await doubts.raise_(cash)
        scene.clock.pass_time(5)
        await doubts.raise_(cash)
        fact, difference = await doubts.settle()
        with pytest.raises(Rejected, match="decide fill_exceeds_order first"):
            await decide(page, scene, difference, is_accepted=True)
        await decide(page, scene, fact, is_accepted=False)
        await decide(page, scene, difference, is_accepted=True)

    runner.run(play())


def test_what_cannot_be_booked_is_open_again_with_the_reason(
    scene, doubts, accepting, page, runner
):
    """A settlement of another quantity than is held, accepted or not, would leave contracts over."""

    async def play():
        scene.clock.at_us = CLOSE_US + 100 * DOLLAR
        told = scene.settlement(yes_e2=500, revenue_usd_e6=1)
        with pytest.raises(Contradiction) as caught:
            checking.check_settlement(told, None, now_us=scene.now_us)
        await doubts.raise_(caught.value)
        (one,) = await doubts.settle()
        await decide(page, scene, one, is_accepted=True)
        await accepting.book()
        return await doubts.settle()

    (left,) = runner.run(play())

    assert left.state == "open"
    assert "it cannot be booked: settlement_differs" in left.note


@pytest.mark.parametrize("reason", list(Reason))
def test_what_a_person_can_decide(reason):
    """Everything ends: by itself, by acceptance or by being discarded."""
    if reason in BOOKABLE:
        check_decision(reason, "accepted")
    else:
        with pytest.raises(Rejected, match="cannot be booked"):
            check_decision(reason, "accepted")
    if reason is Reason.CASH_DIFFERS:
        with pytest.raises(Rejected, match="accept it"):
            check_decision(reason, "discarded")
    else:
        check_decision(reason, "discarded")


def test_nobody_decides_twice_and_nobody_changes_what_was_told(scene, doubts, page, runner):
    """The evidence is append-only; a decided dispute stays decided."""

    async def play():
        await doubts.raise_(found())
        (one,) = await doubts.settle()
        await decide(page, scene, one, is_accepted=False)
        with pytest.raises(Rejected, match="discarded already"):
            await decide(page, scene, one, is_accepted=True)
        for login in (page, scene.database):
            with pytest.raises(DatabaseRejected):
                async with login.transaction() as tx:
                    await tx.execute(
                        "UPDATE trading.disputes SET told = '{}' WHERE dispute_id = %s",
                        one.dispute_id,
                    )
        with pytest.raises(DatabaseRejected):
            async with scene.owner.transaction() as tx:
                await tx.execute(
                    "UPDATE trading.disputes SET state = 'open' WHERE dispute_id = %s",
                    one.dispute_id,
                )

    runner.run(play())


def test_an_account_sees_its_own_disputes_only(accounts, runner):
    """Forced row-level security, as everywhere."""
    one, other = accounts(), accounts()

    async def play():
        mine = Doubts(one.context("kalshi_account_sync"), one.account)
        await mine.raise_(found())
        async with other.database.transaction() as tx:
            return await disputes.undecided(tx, one.account)

    assert runner.run(play()) == []


def test_the_command_shows_and_decides(scene, doubts, module_database_url, runner, capsys):
    """By the beginning of an id, as with any hash."""
    runner.run(doubts.raise_(found(held="nothing")))
    parser = argparse.ArgumentParser()
    cli_disputes.add_arguments(parser)

    def command(*words):
        return cli_disputes.run(
            parser.parse_args([scene.account, *words, "--database-url", module_database_url])
        )

    command()
    shown = capsys.readouterr().out
    (one,) = runner.run(doubts.settle())
    command("--discard", str(one.dispute_id)[:8], "--note", "looked")
    assert "fill_exceeds_order is discarded" in capsys.readouterr().out
    command()
    after = capsys.readouterr().out
    command("--all")

    assert "fill_exceeds_order  open" in shown
    assert "you can: --accept, --discard" in shown
    assert after == f"nothing is disputed in {scene.account}\n"
    assert ": looked" in capsys.readouterr().out
    with pytest.raises(Rejected, match="none does"):
        command("--accept", "ffff")


def test_a_fill_of_another_account_s_side_is_not_guessed(scene, runner):
    """The books stay as they were when a fill contradicts its order."""

    async def play():
        trade_id = await scene.enter(market_ticker=OTHER)
        order_id = await scene.entry_order(trade_id)
        await scene.send(order_id)
        with pytest.raises(Contradiction):
            await scene.book_fill(await scene.fill_of(order_id, book_side=BookSide.ASK))
        await scene.assert_books_agree()
        return await scene.rows("SELECT 1 FROM trading.fills WHERE account = %s", scene.account)

    assert runner.run(play()) == []
