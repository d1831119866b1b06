"""What the entry fold is told, what it says, and what it remembers."""

from __future__ import annotations

import msgspec

from recio.domain import entry
from recio.domain.account_config import AccountConfig, StrategyName, Trading
from recio.domain.entry import Attempt, Bounds, Held, Key
from recio.domain.intents import Intent
from recio.domain.messages import Snapshot
from recio.domain.proposals import Proposal, View
from recio.domain.spike import SpikeState
from recio.domain.trades import Trade
from recio.engine.automation import Show, Status
from recio.engine.records import Record


class Known(msgspec.Struct, frozen=True, kw_only=True, tag="known"):
    """What the database says of the account, read in one transaction."""

    config: AccountConfig
    switch: Trading
    trades: tuple[Trade, ...] = ()
    attempts: dict[Key, Attempt] = {}
    cash_usd_e6: int | None = None


class Restored(msgspec.Struct, frozen=True, tag="restored"):
    """The spike state as it was last written, by symbol."""

    spikes: dict[str, SpikeState]


class ProposalFailed(msgspec.Struct, frozen=True, tag="proposal_failed"):
    """An intent could not be written; whether it was is not known."""

    intent: Intent


class Proposed(msgspec.Struct, frozen=True, kw_only=True, tag="proposed"):
    """What a strategy of one's own answered to an ``Ask``, or why it did not.

    ``generation`` and ``at_us`` are of the snapshot that it was asked with. ``strategy`` names the
    class and its source, so that open trades tell which one made them.
    """

    event_ticker: str
    generation: int
    at_us: int
    strategy: str = ""
    proposals: tuple[Proposal, ...] = ()
    failure: str = ""


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Market time has come to ``at_us``."""

    at_us: int


class Propose(msgspec.Struct, frozen=True):
    """Write this intent, and the record of why in the same transaction."""

    intent: Intent
    record: Record


class Ask(msgspec.Struct, frozen=True):
    """Ask the strategy; of several for one event only the newest is worth an answer."""

    event_ticker: str
    generation: int
    at_us: int
    view: View


Event = Snapshot | Known | Restored | ProposalFailed | Proposed | Tick
Command = Propose | Record | Show | Ask


class EventView:
    """What was last seen and decided of one event; ``snapshot`` only for a strategy of one's own."""

    __slots__ = (
        "close_us",
        "gate",
        "generation",
        "recorded_us",
        "shown_gate",
        "snapshot",
        "snapshot_at_us",
    )

    def __init__(self, close_us: int) -> None:
        self.close_us = close_us
        self.gate = ""
        self.generation = 0
        self.recorded_us = 0
        self.shown_gate: str | None = None
        self.snapshot_at_us = 0
        self.snapshot: Snapshot | None = None


class State:
    """The fold's state for one account."""

    __slots__ = (
        "account",
        "attempts",
        "bounds",
        "events",
        "failure",
        "held",
        "known",
        "now_us",
        "series",
        "shown",
        "slippage_cents",
        "spike_saved_us",
        "spikes",
        "strategy",
        "wishes",
    )

    def __init__(self, account: str, *, slippage_cents: int = 0) -> None:
        """Start without knowledge: nothing is entered until ``Known`` has come.

        Args:
            account: whose intents these are.
            slippage_cents: how much more than the ask seen an entry may pay.
        """
        self.account = account
        self.slippage_cents = slippage_cents
        self.known: Known | None = None
        self.bounds: Bounds | None = None
        self.series: frozenset[str] = frozenset()
        self.held = Held()
        self.attempts: dict[Key, Attempt] = {}
        self.wishes: dict[Key, Intent] = {}
        self.spikes: dict[str, SpikeState] = {}
        self.events: dict[str, EventView] = {}
        self.strategy = ""
        self.failure = ""
        self.shown: Status | None = None
        self.spike_saved_us = 0
        self.now_us = 0

    def learn(self, known: Known) -> None:
        """Take over what the database says, and what follows from it for every snapshot."""
        if self.known is None or known.config is not self.known.config:
            self.bounds = entry.bounds_of(known.config)
            self.series = frozenset(series.value for series in known.config.series)
        self.known = known
        self.held = entry.held_of(known.trades)
        for key, read in known.attempts.items():
            own = self.attempts.get(key)
            # A wish made after this was read is newer than what was read.
            if own is None or read.number >= own.number:
                self.attempts[key] = read


def is_custom(config: AccountConfig) -> bool:
    """Tell whether a strategy of one's own decides."""
    return config.strategy.name is StrategyName.CUSTOM
