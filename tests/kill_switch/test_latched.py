"""What was switched stays switched, whatever dies; each source releases only what it set."""

from __future__ import annotations

from tests.kill_switch.release import MARKET, OF_ACCOUNT, ONE, TWO, WATCH

from recio.adapters.postgres.invariants import NUMBERS
from recio.domain.intents import Source


def test_every_source_outlives_the_death_of_everything(release):
    """All processes, PostgreSQL and Redis killed -9 at once: the rows, and what they forbid, stay."""
    trade = release.trade(ONE)
    release.by_account(ONE, "NoNewEntries")
    release.by_fleet("*", "ReduceOnly")
    release.by_api(ONE, "Halted", reason="news at 14:00")
    release.by_breaker("*", "NoNewEntries")
    before = release.rows()

    release.kill()
    release.redis.stop()
    release.postgres.stop(is_immediate=True)
    release.start_postgres()
    release.redis.start()
    release.start_again()

    assert release.rows() == before
    assert (release.held(ONE), release.held(TWO)) == ("Halted", "ReduceOnly")
    assert "person (one): news at 14:00" in release.answer(ONE)
    assert "fleet (*)" in release.answer(TWO)
    assert "Halted" in release.answer(ONE, trade=trade, source=Source.AUTO_STOP)

    release.by_command(ONE, "Active")
    assert release.held(ONE) == "ReduceOnly"
    release.by_fleet("*", "Active")
    assert release.held(ONE) == "NoNewEntries"
    release.by_account(ONE, "Active")
    assert release.held(ONE) == "NoNewEntries"
    assert "breaker:drill (*)" in release.answer(ONE)
    release.by_breaker("*", "Active")
    assert release.answer(ONE) == ""


def test_a_source_cannot_release_what_another_set(release):
    """Active from every other door changes nothing; the strictest of all wins, not the last."""
    doors = {
        "person": lambda state: release.by_api(ONE, state),
        "resource": lambda state: release.by_account(ONE, state),
        "fleet": lambda state: release.by_fleet("*", state),
        "breaker:drill": lambda state: release.by_breaker(ONE, state),
    }
    for source, switch in doors.items():
        switch("Halted")
        for other in doors.keys() - {source}:
            doors[other]("Active")
        assert release.held(ONE) == "Halted"
        assert source in release.answer(ONE)
        for other in doors.keys() - {source}:
            doors[other]("NoNewEntries")
        assert release.held(ONE) == "Halted"
        for each in doors.values():
            each("Active")
        assert release.rows() == {}


def test_the_same_word_of_the_resource_does_not_undo_a_person(release):
    """A document that is applied again and again, as the operator does, is no release."""
    release.by_api(ONE, "ReduceOnly")
    for _ in range(3):
        release.by_account(ONE, "Active")
    assert release.held(ONE) == "ReduceOnly"
    release.by_api(ONE, "Active")


def test_the_detector_trips_by_itself_stays_tripped_and_releases_only_its_own(release):
    """The market's process dies: entries stop, over a restart of the detector too."""
    release.by_api(ONE, "ReduceOnly")
    release.kill(MARKET[0])
    release.wait("breaker", lambda: any(one.startswith("breaker:") for _, one in release.rows()))
    tripped = {name for name in release.rows() if name[1].startswith("breaker:")}
    assert release.held(TWO) == "NoNewEntries"
    assert "breaker:" in release.answer(TWO)

    release.kill("system_monitor")
    release.kill(ONE, TWO)
    release.run(*WATCH).until(200)
    release.run(*OF_ACCOUNT, account=TWO).until(200)
    assert tripped <= release.rows().keys()

    release.start_again()
    release.wait(
        "release of the breakers", lambda: release.rows() == {(ONE, "person"): "ReduceOnly"}
    )
    assert release.answer(TWO) == ""
    release.by_api(ONE, "Active")


def test_the_page_counts_no_broken_invariant(release):
    """Every number of every account is there, at zero, after all the switches of this module."""
    release.kill("main_app")
    release.start_again()

    def told():
        text = release.metrics("main_app")
        lines = [line for line in text.splitlines() if line.startswith("recio_invariant_viol")]
        return {
            (number, account)
            for number in NUMBERS
            for account in (ONE, TWO)
            for line in lines
            if f'invariant="{number}"' in line
            and f'of_account="{account}"' in line
            and line.endswith(" 0.0")
        }

    every = {(number, account) for number in NUMBERS for account in (ONE, TWO)}
    release.wait("look at the invariants", lambda: told() == every)
