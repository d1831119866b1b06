"""Why a change that no test notices is none to worry about; what stands not here is a missing test.

A survivor is known by its module and by what was changed, in the words of the result file.
"""

EQUIVALENT, TEXT, MISSING = "equivalent", "message text only", "missing test"

_EXPLAINED: dict[tuple[str, str], tuple[str, str]] = {
    ("domain/ledger", "comparison: held.qty_e2 * sign < 0  →  held.qty_e2 * sign <= 0"): (
        EQUIVALENT,
        "with nothing held min(qty, 0) closes nothing either",
    ),
    ("domain/ledger", "arithmetic: held.qty_e2 * sign  →  held.qty_e2 // sign"): (
        EQUIVALENT,
        "the sign is 1 or -1: to divide by it is to multiply by it",
    ),
    ("domain/ledger", "constant: 0  →  1"): (
        EQUIVALENT,
        "a product below 1 is a product of 0 or less: with nothing held nothing is closed",
    ),
    ("domain/ledger", "comparison: sign > 0  →  sign >= 0"): (
        EQUIVALENT,
        "the sign is 1 or -1, never 0",
    ),
    ("domain/ledger", "text: ''  →  'other '"): (
        EQUIVALENT,
        "cash, capital and suspense name no market: the ticker handed over is not used",
    ),
    ("domain/risk", "text: '0'  →  'other 0'"): (
        EQUIVALENT,
        "rstrip takes a set of characters; a number holds none of the others",
    ),
    ("domain/risk", "text: '.'  →  'other .'"): (
        EQUIVALENT,
        "rstrip takes a set of characters; a number holds none of the others",
    ),
    (
        "domain/risk",
        (
            "text: 'cash unknown: the account is not reconciled yet'  →  "
            "'other cash unknown: the account is not reconciled yet'"
        ),
    ): (TEXT, "the words of a refusal"),
    ("domain/risk", "constant: 100  →  101"): (
        EQUIVALENT,
        "the scale of a number that is written out is known by its count of digits alone",
    ),
    ("domain/risk", "constant: 1  →  2"): (
        EQUIVALENT,
        "the scale of a number that is written out is known by its count of digits alone",
    ),
    ("domain/units", "comparison: shown < places  →  shown <= places"): (
        EQUIVALENT,
        "with as many places as there are, the quotient is the value and nothing is left",
    ),
    ("domain/units", "comparison: value >= 0  →  value > 0"): (
        EQUIVALENT,
        "zero divided down is zero, too",
    ),
    ("domain/units", "constant: 0  →  1"): (EQUIVALENT, "zero divided down is zero, too"),
    ("domain/units", "argument: maxsize=1024  →  left out"): (
        EQUIVALENT,
        "the size of a cache changes no value",
    ),
    ("domain/units", "constant: 1024  →  1025"): (
        EQUIVALENT,
        "the size of a cache changes no value",
    ),
    ("domain/settlement", "comparison: left_us >= WINDOW_US  →  left_us > WINDOW_US"): (
        EQUIVALENT,
        "at the window's first instant both ways give the price and 20.5 seconds",
    ),
    ("domain/settlement", "constant: 0  →  1"): (
        EQUIVALENT,
        "numbers beside a reason mean nothing, and a mean of no samples counts nought times",
    ),
    ("domain/settlement", "constant: 0.0  →  1.0"): (
        EQUIVALENT,
        "numbers beside a reason mean nothing",
    ),
    **{
        ("domain/units", f"text: '{name}'  →  'other {name}'"): (
            EQUIVALENT,
            "the name of a NewType is shown nowhere",
        )
        for name in ("PriceE4", "QtyE2", "UsdE6", "ProbabilityE6", "TimeUs")
    },
}


def explanation(module: str, change: str) -> tuple[str, str]:
    """Return the class of a survivor and why it belongs there."""
    return _EXPLAINED.get((module, change), (MISSING, ""))
