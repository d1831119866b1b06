"""Settlement: net positions are paid $1 for each winning contract, in whole cents, without a fee.

Yes and no results always come to whole cents, because the smallest holding is 0.01 contract. A
scalar result may not: the payout is then rounded down and the rest of the cent stays with the
exchange (docs.kalshi.com, "Market settlement": the actual payout is rounded to whole cents).
"""

from __future__ import annotations

from recio.domain.errors import InvalidValue
from recio.exchange_simulator.core import accounts
from recio.exchange_simulator.core.records import Market, Position, Settlement
from recio.exchange_simulator.core.state import State
from recio.exchange_simulator.specs import Result

_CENT_E6 = 10_000


def payout_cents(result: Result, scalar_cents: int | None) -> int:
    """Return what one YES contract pays.

    >>> payout_cents("yes", None), payout_cents("no", None), payout_cents("scalar", 37)
    (100, 0, 37)
    """
    if result != "scalar":
        return 100 if result == "yes" else 0
    if scalar_cents is None or not 0 <= scalar_cents <= 100:
        raise InvalidValue("a scalar result needs a payout of 0 … 100 cents for one YES")
    return scalar_cents


def value_e6(position_e2: int, yes_cents: int) -> int:
    """Return the exact value of a signed position.

    >>> value_e6(1050, 100), value_e6(-1050, 100), value_e6(-25, 63)
    (10500000, 0, 92500)
    """
    cents = yes_cents if position_e2 >= 0 else 100 - yes_cents
    return abs(position_e2) * cents * 100


def pay_all(state: State, market: Market) -> None:
    """Pay every position of a finalized market and close it."""
    for name, position in market.positions.items():
        if position.position_e2:
            _pay(state, name, market, position)
        position.is_settled = True
        state.touch_position(position)
    # The house keeps what the members are not paid: its position simply ends.
    state.house.positions_e2.pop(market.ticker, None)


def _pay(state: State, name: str, market: Market, position: Position) -> None:
    assert market.payout_cents is not None
    exact = value_e6(position.position_e2, market.payout_cents)
    revenue_cents = exact // _CENT_E6
    held, cost = position.position_e2, position.cost_e6
    done = Settlement(
        number=state.next_number(),
        account=name,
        ticker=market.ticker,
        event_ticker=market.event.spec.event_ticker,
        exchange_index=market.exchange_index,
        result=market.result,
        yes_e2=max(held, 0),
        yes_cost_e6=cost if held > 0 else 0,
        no_e2=max(-held, 0),
        no_cost_e6=cost if held < 0 else 0,
        revenue_cents=revenue_cents,
        payout_cents=market.payout_cents,
        fee_e6=position.fees_e6,
        at_us=state.now_us,
    )
    position.realized_e6 += revenue_cents * _CENT_E6 - cost
    position.position_e2 = position.cost_e6 = position.open_fees_e6 = 0
    state.settlements_of.setdefault(name, []).append(done)
    state.changes.settlements.append(done)
    accounts.pay(state, state.accounts[name], market.exchange_index, revenue_cents * _CENT_E6)
    state.house.cash_e6 -= revenue_cents * _CENT_E6
