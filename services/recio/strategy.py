"""What a trader's own strategy imports: ``from recio.strategy import Proposal, View``.

See docs/strategies.md. These names are the whole interface, and they stay.
"""

from __future__ import annotations

from recio.domain.proposals import NO, YES, HeldTrade, Proposal, Rules, Strike, View

__all__ = ["NO", "YES", "HeldTrade", "Proposal", "Rules", "Strike", "View"]
