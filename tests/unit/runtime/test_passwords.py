"""Passwords: scrypt, with the parameters beside the hash."""

from __future__ import annotations

import pytest

from recio.domain.errors import InvalidValue
from recio.runtime.passwords import fresh_password, hash_password, is_password


def test_only_the_password_matches_its_hash():
    """A hash is of one password, and of no other."""
    stored = hash_password("correct horse")
    assert is_password("correct horse", stored)
    assert not is_password("correct horsf", stored)
    assert not is_password("", stored)


def test_two_hashes_of_one_password_differ():
    """Each has a salt of its own."""
    assert hash_password("same") != hash_password("same")


@pytest.mark.parametrize("stored", ["", "scrypt$15$8$1$x", "plain$1$1$1$AA==$AA==", "a$b$c$d$e$f"])
def test_a_damaged_hash_matches_nothing(stored):
    """What is not a hash of ours is refused, never raised."""
    assert not is_password("anything", stored)


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_impossible_passwords_are_refused(password):
    """Empty, or so long that hashing it would be work for strangers."""
    with pytest.raises(InvalidValue):
        hash_password(password)


def test_fresh_passwords_are_long_and_differ():
    """Four groups of five letters and digits."""
    made = {fresh_password() for _ in range(20)}
    assert len(made) == 20
    assert all(len(password) == 23 for password in made)
