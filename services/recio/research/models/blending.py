"""Puts the weight of a blend with the market into a volatility artefact.

One weight for all times: 66 markets cannot tell one for each (docs/model.md). The artefact keeps which
markets it was fitted on and the checksum of their trades.
"""

from __future__ import annotations

import msgspec

from recio.domain.volatility_model import Blend, VolatilityModel
from recio.research.models.market import AHEAD, Compared, Trades


def with_blend(
    content: bytes, compared: Compared, trades: Trades, *, day: str, source: str = ""
) -> bytes:
    """Return the artefact with the weight that was fitted over all markets.

    Args:
        content: the volatility artefact.
        compared: the markets, judged with this artefact.
        trades: where they come from.
        day: on which the weight is fitted.
        source: of the trades; their files' names if not told.

    Raises:
        InvalidValue: the artefact is none.
    """
    parameters = VolatilityModel(content).parameters
    blend = Blend(
        on=day,
        first=compared.first,
        last=compared.last,
        markets=compared.markets,
        sha256=trades.sha256,
        source=source or ", ".join(trades.names),
        minutes=(float(min(AHEAD)), float(max(AHEAD))),
        weights=(compared.weight, compared.weight),
    )
    made = msgspec.json.encode(msgspec.structs.replace(parameters, blend=blend)) + b"\n"
    VolatilityModel(made)
    return made
