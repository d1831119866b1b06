"""Log-in attempts: five failures a minute for a name or an address."""

from __future__ import annotations

from recio.apps.main_app.sessions import Attempts

SECOND = 1_000_000


def test_the_sixth_attempt_waits_until_the_first_is_a_minute_old():
    """Failures leave one by one."""
    attempts = Attempts()
    for second in range(5):
        assert attempts.wait_us("admin", second * SECOND) == 0
        attempts.fail("admin", second * SECOND)
    assert attempts.wait_us("admin", 5 * SECOND) == 55 * SECOND
    assert attempts.wait_us("admin", 60 * SECOND) == 0


def test_others_do_not_wait():
    """One name's failures are not another's."""
    attempts = Attempts()
    for _ in range(9):
        attempts.fail("admin", 0)
    assert attempts.wait_us("someone", 1) == 0


def test_a_flood_of_names_is_bounded():
    """Made-up names cannot fill the memory; the newest are kept."""
    attempts = Attempts()
    for number in range(5000):
        for _ in range(5):
            attempts.fail(f"name {number}", 0)
    assert attempts.wait_us("name 4999", 1) > 0
    assert attempts.wait_us("name 0", 1) == 0
