"""Identifiers that are a function of the wish."""

from __future__ import annotations

from hashlib import blake2b
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from recio.domain.intents import Purpose, Source, derived_id

PARTS = st.lists(st.one_of(st.text(max_size=12), st.integers(), st.uuids()), max_size=5)


def test_the_identifier_of_a_wish_never_changes():
    """It stands in the exchange's history as client order id: for ever."""
    assert derived_id("paper", "KXBTCD-25AUG0122-T119499.99", "yes", "entry", 1) == UUID(
        "80853845-8c14-8675-9318-9b640133675b"
    )


@given(PARTS)
def test_the_same_wish_has_the_same_identifier(parts):
    """After a restart, in a second copy, in a replay."""
    assert derived_id(*parts) == derived_id(*parts)


@given(PARTS)
def test_the_identifier_is_a_uuid_of_our_own_kind(parts):
    """Version 8 is for identifiers that applications make (RFC 9562)."""
    made = derived_id(*parts)

    assert made.version == 8
    assert made.variant == "specified in RFC 4122"


@given(PARTS, PARTS)
def test_other_wishes_have_other_identifiers(one, other):
    """Also when their texts would run together: ("ab", "c") is not ("a", "bc")."""
    as_text = [str(part) for part in one], [str(part) for part in other]
    has_separator = any("\x1f" in part for parts in as_text for part in parts)
    if as_text[0] != as_text[1] and not has_separator and one and other:
        assert derived_id(*one) != derived_id(*other)


def test_the_words_are_those_that_rows_hold():
    """They stand in the database of every account."""
    assert [each.value for each in Purpose] == ["entry", "exit"]
    assert [each.value for each in Source] == [
        "auto_entry",
        "manual",
        "auto_stop",
        "momentum_stop",
        "flatten",
        "panic",
    ]


def test_an_identifier_is_its_parts_hash_and_marked_as_made_by_us():
    """Version 8, the variant of RFC 9562, all other bits the hash's own."""
    for number in range(40):
        text = f"paper\x1f{number}".encode()
        digest = blake2b(text, digest_size=16, person=b"recio").digest()
        made = derived_id("paper", number)
        assert (made.version, made.variant) == (8, RFC_4122)
        assert made.int & _FREE_BITS == int.from_bytes(digest, "big") & _FREE_BITS


_FREE_BITS = (1 << 128) - 1 - (0xF << 76) - (0x3 << 62)
