"""The gate's own judgement on prices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio.domain.account_config import AccountConfig
from recio.domain.intents import Intent, Purpose, Source
from recio.domain.messages import PriceRange
from recio.engine.gate import _strategy, is_on_grid
from recio.testing import pictures
from recio.testing.views import CONFIG

CENTS = (PriceRange(100, 9900, 100),)
TAPERED = (PriceRange(10, 1000, 10), PriceRange(1000, 9000, 100), PriceRange(9000, 9990, 10))


@pytest.mark.parametrize(
    ("price_e4", "ranges", "is_legal"),
    [
        (100, CENTS, True),
        (9900, CENTS, True),
        (5050, CENTS, False),
        (9910, CENTS, False),
        (50, CENTS, False),
        (9990, TAPERED, True),
        (9985, TAPERED, False),
        (1010, TAPERED, False),
        (1000, TAPERED, True),
        (990, TAPERED, True),
        (5000, (), False),
    ],
)
def test_a_price_must_be_on_the_market_s_grid(price_e4, ranges, is_legal):
    """Each range has its own step; both its ends belong to it."""
    assert is_on_grid(price_e4, ranges) is is_legal


@pytest.mark.parametrize("price_e4", [-100, 0, 10_000, 10_100])
def test_zero_and_one_dollar_are_no_prices(price_e4):
    """Whatever a market claims."""
    assert not is_on_grid(price_e4, (PriceRange(-1000, 20_000, 100),))


@given(st.integers(1, 99))
def test_the_grid_is_the_same_seen_from_the_other_side(cents):
    """A cent grid is symmetric: what is legal for YES is legal for NO."""
    assert is_on_grid(cents * 100, CENTS)
    assert is_on_grid(10_000 - cents * 100, CENTS)


@pytest.mark.parametrize(
    ("config", "source", "strategy"),
    [
        (CONFIG, Source.AUTO_ENTRY, "Custom Mine 0123456789ab"),
        (CONFIG, Source.MANUAL, "Custom"),
        (AccountConfig(name="paper"), Source.AUTO_ENTRY, "HourlyHTC"),
    ],
)
def test_a_trade_names_the_text_of_the_strategy_that_made_it(config, source, strategy):
    """A person's own words under an order of theirs do not pass for one."""
    intent = Intent(
        intent_id=pictures.trade_id("a", "b"),
        account="paper",
        purpose=Purpose.ENTRY,
        source=source,
        market_ticker=pictures.BELOW,
        event_ticker=pictures.EVENT,
        side="yes",
        qty_e2=100,
        limit_price_e4=9_500,
        at_us=pictures.AT_US,
        valid_until_us=pictures.CLOSE_US,
        reason="Custom Mine 0123456789ab",
    )

    assert _strategy(intent, config) == strategy
