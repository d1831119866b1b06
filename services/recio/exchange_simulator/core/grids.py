"""Price grids: which prices a market accepts.

A grid is a list of ranges with a step (docs.kalshi.com, "Fixed-point migration"); the structure's
name only stands for it. Prices are in 1e-4 dollar; 0 and 10_000 are never valid for an order.
"""

from __future__ import annotations

from typing import Final

from recio.exchange_simulator.specs import PriceRange

_CENT: Final = 100
_EDGE_WIDTH: Final = 1_000
_ONE: Final = 10_000


def _tapered(edge_e4: int, middle_e4: int, width_e4: int = _EDGE_WIDTH) -> tuple[PriceRange, ...]:
    return (
        PriceRange(0, width_e4, edge_e4),
        PriceRange(width_e4, _ONE - width_e4, middle_e4),
        PriceRange(_ONE - width_e4, _ONE, edge_e4),
    )


STRUCTURES: Final[dict[str, tuple[PriceRange, ...]]] = {
    "linear_cent": (PriceRange(0, _ONE, _CENT),),
    "deci_cent": (PriceRange(0, _ONE, 10),),
    "tapered_deci_cent": _tapered(10, _CENT),
    "center_whole_edge_half": _tapered(50, _CENT),
    "center_whole_edge_quint": _tapered(20, _CENT),
    "center_half_edge_half": (PriceRange(0, _ONE, 50),),
    "center_half_edge_quint": _tapered(20, 50),
    "center_half_edge_deci": _tapered(10, 50),
    "center_quint_edge_quint": (PriceRange(0, _ONE, 20),),
    "center_quint_edge_deci": _tapered(10, 20),
    "center_deci_edge_centi": _tapered(1, 10, 100),
    "center_centi_edge_centi": (PriceRange(0, _ONE, 1),),
}


def is_on_grid(ranges: tuple[PriceRange, ...], price_e4: int) -> bool:
    """Tell whether an order may carry this price.

    >>> is_on_grid(STRUCTURES["tapered_deci_cent"], 990), is_on_grid(STRUCTURES["linear_cent"], 55)
    (True, False)
    """
    if not 0 < price_e4 < _ONE:
        return False
    return any(
        one.start_e4 <= price_e4 <= one.end_e4 and (price_e4 - one.start_e4) % one.step_e4 == 0
        for one in ranges
    )
