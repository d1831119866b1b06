"""The text that queries share about orders says what the domain says."""

import re

from recio.adapters.postgres.orders import MAY_BRING_FILLS, UNBOOKED_E2
from recio.domain.orders import TERMINAL


def test_queries_and_domain_agree_on_when_an_order_is_over():
    """An order that is over by one and alive by the other would be counted twice or never."""
    for text in (UNBOOKED_E2, MAY_BRING_FILLS):
        assert set(re.findall(r"'(\w+)'", text)) == {state.value for state in TERMINAL}
