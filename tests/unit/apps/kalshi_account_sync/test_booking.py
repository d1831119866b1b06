"""How a fill's fee is divided when the fill belongs to several trades."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recio.adapters.kalshi.model import ExchangeFill
from recio.apps.kalshi_account_sync.booking import _fee_up_to
from recio.domain.orders import BookSide


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=6),
    st.integers(-10_000, 1_000_000),
)
def test_the_parts_of_a_fee_are_the_fee(parts_e2, fee):
    """To the micro-dollar, and each in proportion to its contracts."""
    told = ExchangeFill(
        fill_id="f",
        order_id="x",
        client_order_id=None,
        ticker="M",
        book_side=BookSide.BID,
        qty_e2=sum(parts_e2),
        yes_price_e4=5000,
        is_taker=True,
        fee_usd_e6=fee,
        at_us=None,
        exchange_index=None,
        subaccount=None,
    )
    ends = [sum(parts_e2[:number]) for number in range(len(parts_e2) + 1)]
    shares = [
        _fee_up_to(told, after) - _fee_up_to(told, before) for before, after in pairwise(ends)
    ]

    assert sum(shares) == fee
    for part_e2, share in zip(parts_e2, shares, strict=True):
        assert abs(share * told.qty_e2 - fee * part_e2) < told.qty_e2
