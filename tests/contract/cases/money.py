"""Fees and settlement, by the documents' own numbers; cash is compared to the micro-dollar."""

from __future__ import annotations

from tests.contract.listing import EVENT, HIGH, LOW, QUARTER
from tests.contract.members import Member
from tests.contract.scene import ASK, BID, IOC, Scene
from tests.contract.suite import FEE_SCHEDULE, FEES, OBSERVED, SETTLEMENT, case

from recio.adapters.kalshi.model import ExchangeSettlement

START = 1_000_000_000
DIRECT_MEMBER = {"balance_precision_e6": 100}


async def fill_in_three(scene: Scene, price_e4: int, qty_e2: int, ticker: str) -> Member:
    """Let alice buy three times the quantity with one order from three sellers."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    for _ in range(3):
        await scene.place(bob, ASK, price_e4, qty_e2, ticker=ticker)
    reply = await scene.place(alice, BID, price_e4, 3 * qty_e2, IOC, ticker=ticker)
    assert reply.fill_qty_e2 == 3 * qty_e2
    return alice


async def fees(member: Member) -> list[int]:
    """Return the fees of a member's fills, oldest first."""
    return [one.fee_usd_e6 for one in reversed(await member.rest.fills())]


# The documented examples have trade fees of 0.0085 and 0.0041 a fill. No fee formula is told with
# them; these multipliers let ours come to the same.
SUBPENNY = {"fee_multiplier_e6": 2_320_000}
FRACTIONAL = {"fee_multiplier_e6": 770_000}


@case(160, FEES, listing=SUBPENNY)
async def accumulator_pays_back(scene: Scene) -> None:
    """Three fills of 1 @ 0.055 in one order cost 0.015, 0.005 and 0.015."""
    alice = await fill_in_three(scene, 550, 1_00, QUARTER)
    assert await fees(alice) == [15_000, 5_000, 15_000]
    assert await scene.cash() == START - 165_000 - 35_000


@case(161, FEES, listing=FRACTIONAL)
async def accumulator_of_fractions(scene: Scene) -> None:
    """Three fills of 0.30 @ 0.50 in one order cost 0.01, nothing and 0.01."""
    alice = await fill_in_three(scene, 5000, 30, LOW)
    assert await fees(alice) == [10_000, 0, 10_000]
    assert await scene.cash() == START - 450_000 - 20_000


@case(162, FEES, listing=SUBPENNY)
async def accumulator_of_each_order(scene: Scene) -> None:
    """The accumulator belongs to an order: three orders of 1 @ 0.055 cost 0.015 each."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    await scene.place(bob, ASK, 550, 3_00, ticker=QUARTER)
    for _ in range(3):
        await scene.place(alice, BID, 550, 1_00, IOC, ticker=QUARTER)
    assert await fees(alice) == [15_000, 15_000, 15_000]


@case(163, OBSERVED, **DIRECT_MEMBER)
async def trade_fee_of_one(scene: Scene) -> None:
    """1 @ 0.52 costs a trade fee of 0.0175: the formula, up to $0.0001."""
    await scene.offer("no", 4800, 1_00)
    alice = await scene.member()
    reply = await scene.place(alice, BID, 5200, 1_00, IOC)
    assert reply.average_fee_usd_e6 == 17_500
    assert await fees(alice) == [17_500]
    assert await scene.cash() == START - 520_000 - 17_500


@case(164, FEES)
async def rounding_to_the_cent(scene: Scene) -> None:
    """Of 1 @ 0.52 the balance change is floored to the cent: the fee comes to 0.02."""
    await scene.offer("no", 4800, 1_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5200, 1_00, IOC)
    assert await fees(alice) == [20_000]
    assert await scene.cash() == START - 540_000


@case(165, FEE_SCHEDULE)
async def printed_table(scene: Scene) -> None:
    """100 contracts cost what the fee schedule prints, from one cent to 99."""
    table = {
        100: 7,
        500: 34,
        1000: 63,
        1500: 90,
        2000: 112,
        2500: 132,
        3000: 147,
        3500: 160,
        4000: 168,
        4500: 174,
        5000: 175,
        6000: 168,
        7500: 132,
        9500: 34,
        9900: 7,
    }
    alice = await scene.member(dollars=100_000)
    for price_e4 in table:
        await scene.offer("no", 10_000 - price_e4, 100_00)
        await scene.place(alice, BID, price_e4, 100_00, IOC)
    assert await fees(alice) == [cents * 10_000 for cents in table.values()]


@case(166, FEE_SCHEDULE)
async def makers_are_free(scene: Scene) -> None:
    """A series of fee type quadratic charges the taker only."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    await scene.place(alice, BID, 5000, 100_00)
    await scene.place(bob, ASK, 5000, 100_00, IOC)
    assert (await fees(alice), await fees(bob)) == ([0], [1_750_000])


@case(167, FEE_SCHEDULE, listing={"fee_type": "quadratic_with_maker_fees"})
async def maker_fees(scene: Scene) -> None:
    """With maker fees the maker pays a quarter of the taker's rate."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    assert (await alice.rest.series("KXBTCD")).fee_type == "quadratic_with_maker_fees"
    await scene.place(alice, BID, 5000, 100_00)
    await scene.place(bob, ASK, 5000, 100_00, IOC)
    # 0.0175 * 100 * 0.25 = 0.4375, and the balance change is floored to the cent.
    assert (await fees(alice), await fees(bob)) == ([440_000], [1_750_000])


@case(168, FEE_SCHEDULE, listing={"fee_multiplier_e6": 500_000})
async def multiplier(scene: Scene) -> None:
    """The series' multiplier scales the fee."""
    await scene.offer("no", 5000, 100_00)
    alice = await scene.member()
    assert (await alice.rest.series("KXBTCD")).fee_multiplier_e6 == 500_000
    await scene.place(alice, BID, 5000, 100_00, IOC)
    assert await fees(alice) == [880_000]


@case(169, FEE_SCHEDULE, listing={"fee_multiplier_e6": 0})
async def no_fee(scene: Scene) -> None:
    """A multiplier of nought is no fee."""
    await scene.offer("no", 5000, 100_00)
    alice = await scene.member()
    await scene.place(alice, BID, 5000, 100_00, IOC)
    assert await fees(alice) == [0]
    assert await scene.cash() == START - 50_000_000


async def buy(scene: Scene, member: Member, qty_e2: int) -> None:
    """Buy YES at 0.55."""
    await scene.offer("no", 4500, qty_e2)
    await scene.place(member, BID, 5500, qty_e2, IOC)


@case(170, SETTLEMENT)
async def settled_yes(scene: Scene) -> None:
    """A market that settles yes pays a dollar for each YES, without a fee."""
    alice = await scene.member()
    await buy(scene, alice, 10_00)
    assert await scene.cash() == START - 5_680_000
    await scene.settle(LOW, "yes", "90123.45")
    assert await scene.cash() == START - 5_680_000 + 10_000_000
    (row,) = await alice.rest.settlements()
    assert row == ExchangeSettlement(
        ticker=LOW,
        event_ticker=EVENT,
        result="yes",
        yes_qty_e2=10_00,
        yes_cost_usd_e6=5_500_000,
        no_qty_e2=0,
        no_cost_usd_e6=0,
        revenue_usd_e6=10_000_000,
        fee_usd_e6=180_000,
        payout_usd_e6=1_000_000,
        settled_at_us=row.settled_at_us,
        exchange_index=2,
    )
    market = await alice.rest.market(LOW)
    assert (market.result, market.payout_usd_e6) == ("yes", 1_000_000)
    assert market.expiration_value_usd_e6 == 90_123_450_000
    assert (market.settled_at_us, market.status) == (row.settled_at_us, "finalized")


@case(171, SETTLEMENT)
async def settled_no(scene: Scene) -> None:
    """A market that settles no pays nothing for YES."""
    alice = await scene.member()
    await buy(scene, alice, 10_00)
    await scene.settle(LOW, "no")
    assert await scene.cash() == START - 5_680_000
    (row,) = await alice.rest.settlements()
    assert (row.result, row.revenue_usd_e6, row.payout_usd_e6) == ("no", 0, 0)
    assert (row.yes_qty_e2, row.yes_cost_usd_e6) == (10_00, 5_500_000)


@case(172, SETTLEMENT)
async def holders_of_no(scene: Scene) -> None:
    """A market that settles no pays a dollar for each NO."""
    await scene.offer("yes", 6000, 4_00)
    alice = await scene.member()
    await scene.place(alice, ASK, 6000, 4_00, IOC)
    # 0.07 * 4 * 0.6 * 0.4 = 0.0672; 1.60 + 0.0672 is charged as 1.67.
    assert await scene.cash() == START - 1_670_000
    await scene.settle(LOW, "no")
    assert await scene.cash() == START - 1_670_000 + 4_000_000
    (row,) = await alice.rest.settlements()
    assert (row.no_qty_e2, row.no_cost_usd_e6, row.revenue_usd_e6) == (
        4_00,
        1_600_000,
        4_000_000,
    )
    assert (row.yes_qty_e2, row.payout_usd_e6, row.fee_usd_e6) == (0, 0, 70_000)


@case(173, SETTLEMENT)
async def fractions_settle_to_the_cent(scene: Scene) -> None:
    """Hundredths of a contract are paid in whole cents."""
    alice = await scene.member()
    await buy(scene, alice, 37)
    before = await scene.cash()
    await scene.settle(LOW, "yes")
    assert await scene.cash() == before + 370_000


@case(174, SETTLEMENT)
async def position_leaves(scene: Scene) -> None:
    """A settled position leaves the unsettled ones; the others stay."""
    alice = await scene.member()
    await buy(scene, alice, 10_00)
    await scene.offer("no", 5000, 1_00, HIGH)
    await scene.place(alice, BID, 5000, 1_00, IOC, ticker=HIGH)
    assert {one.ticker for one in await alice.rest.positions()} == {LOW, HIGH}
    await scene.settle(LOW, "yes")
    assert [one.ticker for one in await alice.rest.positions()] == [HIGH]
    assert [one.ticker for one in await alice.rest.settlements(ticker=LOW)] == [LOW]
    assert await alice.rest.settlements(ticker=HIGH) == ()


@case(175, SETTLEMENT)
async def flat_positions_have_no_settlement(scene: Scene) -> None:
    """Who holds nothing at settlement is paid nothing and has no row."""
    alice = await scene.member()
    await buy(scene, alice, 2_00)
    await scene.offer("yes", 6000, 2_00)
    await scene.place(alice, ASK, 6000, 2_00, IOC)
    before = await scene.cash()
    await scene.settle(LOW, "yes")
    assert (await scene.cash(), await alice.rest.settlements()) == (before, ())


@case(176, SETTLEMENT)
async def paid_after_the_timer(scene: Scene) -> None:
    """A determined market is paid when its settlement timer has run."""
    alice = await scene.member()
    await buy(scene, alice, 10_00)
    before = await scene.cash()
    await scene.advance_to(scene.exchange.state.markets[LOW].close_us)
    await scene.act("determine", LOW, "yes", expiration_value="90000.50")
    await scene.advance(59)
    assert (await alice.rest.market(LOW)).status == "determined"
    assert await scene.cash() == before
    await scene.advance(1)
    assert (await alice.rest.market(LOW)).status == "finalized"
    assert await scene.cash() == before + 10_000_000


@case(177, SETTLEMENT)
async def nothing_is_lost(scene: Scene) -> None:
    """Two members who trade with each other keep the sum of their cash but for fees."""
    alice, bob = await scene.member("alice"), await scene.member("bob")
    await scene.place(alice, BID, 6300, 7_77)
    await scene.place(bob, ASK, 6300, 7_77, IOC)
    await scene.settle(LOW, "no")
    paid = sum(await fees(alice)) + sum(await fees(bob))
    assert await scene.cash("alice") + await scene.cash("bob") == 2 * START - paid


@case(178, SETTLEMENT)
async def scalar(scene: Scene) -> None:
    """A scalar result pays each side its part, in whole cents."""
    alice = await scene.member()
    await buy(scene, alice, 10_00)
    before = await scene.cash()
    await scene.advance_to(scene.exchange.state.markets[LOW].close_us)
    await scene.act("determine", LOW, "scalar", expiration_value="", yes_payout_cents=37)
    await scene.advance(61)
    assert await scene.cash() == before + 3_700_000
    (row,) = await alice.rest.settlements()
    assert (row.result, row.payout_usd_e6, row.revenue_usd_e6) == ("scalar", 370_000, 3_700_000)


@case(179, SETTLEMENT)
async def realized_profit(scene: Scene) -> None:
    """The profit of a round trip is told without its fees."""
    alice = await scene.member()
    await buy(scene, alice, 4_00)
    await scene.offer("yes", 6500, 4_00)
    await scene.place(alice, ASK, 6500, 4_00, IOC)
    (position,) = await alice.rest.positions()
    assert (position.realized_pnl_usd_e6, position.fees_usd_e6) == (400_000, sum(await fees(alice)))
    assert await scene.cash() == START + 400_000 - position.fees_usd_e6
