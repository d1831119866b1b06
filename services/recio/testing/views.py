"""What a strategy of one's own sees, made by hand: for trying one out, and for tests.

``VIEW`` is ``pictures.PICTURE`` as an account with nothing open sees it.
"""

from __future__ import annotations

from typing import Final

from recio.domain.account_config import (
    AccountConfig,
    AutoEntry,
    ConfigMapKeyRef,
    CustomStrategy,
    Model,
    Sizing,
    Strategy,
    StrategyName,
    Trading,
)
from recio.domain.messages import Snapshot
from recio.domain.proposals import View
from recio.engine.entry_state import Known
from recio.engine.proposing import view_of
from recio.testing.pictures import PICTURE

CONFIG: Final = AccountConfig(
    name="paper",
    strategy=Strategy(
        name=StrategyName.CUSTOM,
        custom=CustomStrategy(
            config_map_ref=ConfigMapKeyRef(name="mine", key="mine.py"), class_name="Mine"
        ),
        model=Model.FINGERPRINTS,
        auto_entry=AutoEntry(enabled=True),
        sizing=Sizing(contracts=5),
    ),
)
KNOWN: Final = Known(config=CONFIG, switch=Trading.ACTIVE, cash_usd_e6=1_000_000_000)


def seen(snapshot: Snapshot, known: Known = KNOWN) -> View:
    """Return what a strategy sees of a snapshot."""
    return view_of(snapshot, known)


VIEW: Final = seen(PICTURE)
