"""Root causes, hysteresis and budget of the breakers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recio import manifest
from recio.apps.cascading_failure_detector import app
from recio.domain.units import HOUR_US, SECOND_US
from recio.engine import breakers
from recio.engine.breakers import Release, Report, Rules, State, Subject, Tick, Trip

RULES = Rules(
    depends_on={"brain": frozenset({"prices"}), "stops": frozenset({"brain"})},
    guards=frozenset({"prices", "brain", "stops", "executor"}),
    trip_after_s=30,
    starting_s=120,
    release_after_s=30,
    stale_after_s=30,
    trips_per_hour=2,
)
PRICES, BRAIN = Subject("prices"), Subject("brain")
STOPS_A, STOPS_B = Subject("stops", "a"), Subject("stops", "b")
PAGE = Subject("page")


class Run:
    """Folds events and remembers the commands."""

    def __init__(self, rules=RULES, state=None):
        self.state = state or State(rules=rules)
        self.commands = []
        self.at_s = 0

    def say(self, subjects, *, is_ready, seconds, step_s=5):
        """Report the same of some subjects for a while."""
        for _ in range(0, seconds, step_s):
            self.at_s += step_s
            for subject in subjects:
                event = Report(subject, is_ready, "prices are old", self.at_s * SECOND_US)
                self.feed(event)

    def feed(self, event):
        """Fold one event."""
        self.state, commands = breakers.step(self.state, event)
        self.commands += commands

    def wait(self, seconds):
        """Let time pass in silence."""
        self.at_s += seconds
        self.feed(Tick(self.at_s * SECOND_US))

    def trips(self):
        """Return what tripped."""
        return [command.subject for command in self.commands if isinstance(command, Trip)]

    def releases(self):
        """Return what was released."""
        return [command.subject for command in self.commands if isinstance(command, Release)]


def test_a_lasting_failure_trips_and_a_lasting_recovery_releases():
    """Both need their time: a hiccup blocks nothing, a lucky answer unblocks nothing."""
    run = Run()
    run.say([PRICES], is_ready=True, seconds=10)
    run.say([PRICES], is_ready=False, seconds=30)
    assert run.commands == []
    run.say([PRICES], is_ready=False, seconds=10)
    assert run.trips() == [PRICES]
    run.say([PRICES], is_ready=True, seconds=30)
    assert run.releases() == []
    run.say([PRICES], is_ready=True, seconds=10)
    assert run.releases() == [PRICES]
    assert run.state.open == frozenset()


def test_only_the_root_cause_trips_and_names_what_falls_with_it():
    """The prices are gone, so the brain and all stops fail: one breaker, one name."""
    run = Run()
    everything = [PRICES, BRAIN, STOPS_A, STOPS_B]
    run.say(everything, is_ready=True, seconds=10)
    run.say(everything, is_ready=False, seconds=60)
    assert run.trips() == [PRICES]
    assert run.commands[0].also_failing == ("brain", "stops/a", "stops/b")
    assert run.commands[0].subject.scope == "*"


def test_a_failure_of_one_account_blocks_only_that_account():
    """The other account's stops are well, so it may enter."""
    run = Run()
    run.say([STOPS_A, STOPS_B], is_ready=True, seconds=10)
    run.say([STOPS_A], is_ready=False, seconds=40)
    assert run.trips() == [STOPS_A]
    assert run.commands[0].subject.scope == "a"


def test_what_guards_no_entry_blocks_none():
    """The page may be down: automation and exits go on."""
    run = Run()
    run.say([PAGE], is_ready=False, seconds=600)
    assert run.commands == []


def test_silence_trips_nothing_and_releases_nothing():
    """Nobody reports: unknown is neither well nor failed."""
    run = Run()
    run.say([PRICES], is_ready=True, seconds=10)
    run.say([PRICES], is_ready=False, seconds=10)
    run.wait(300)
    assert run.commands == []
    run.say([PRICES], is_ready=False, seconds=40)
    assert run.trips() == [PRICES]
    run.say([PRICES], is_ready=True, seconds=10)
    run.wait(300)
    assert run.releases() == []


def test_a_service_that_is_starting_has_longer():
    """What was never ready may be starting."""
    run = Run()
    run.say([PRICES], is_ready=False, seconds=115)
    assert run.trips() == []
    run.say([PRICES], is_ready=False, seconds=20)
    assert run.trips() == [PRICES]


def test_a_flapping_service_keeps_its_last_trip():
    """The budget is two an hour: the second trip is held until the first is an hour old."""
    run = Run()
    run.say([PRICES], is_ready=True, seconds=10)
    for _ in range(10):
        run.say([PRICES], is_ready=False, seconds=40)
        run.say([PRICES], is_ready=True, seconds=60)
    assert run.trips() == [PRICES, PRICES]
    assert run.releases() == [PRICES]
    assert run.state.open == {PRICES}
    run.say([PRICES], is_ready=True, seconds=3600, step_s=20)
    assert run.releases() == [PRICES, PRICES]


def test_open_breakers_survive_a_restart_and_need_a_recovery():
    """The detector that starts anew holds what it finds, also without any report."""
    run = Run(state=breakers.start(RULES, [(PRICES, 0)]))
    run.wait(600)
    assert run.state.open == {PRICES}
    run.say([PRICES], is_ready=True, seconds=40)
    assert run.releases() == [PRICES]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([PRICES, BRAIN, STOPS_A, STOPS_B, PAGE, None]),
        st.booleans(),
        st.integers(0, 40),
    ),
    max_size=200,
)


@given(EVENTS)
def test_no_history_breaks_the_rules(events):
    """Trips and releases alternate, the budget holds in every hour, only guards or causes trip."""
    run = Run()
    for subject, is_ready, seconds in events:
        run.at_s += seconds
        at_us = run.at_s * SECOND_US
        run.feed(Tick(at_us) if subject is None else Report(subject, is_ready, "why", at_us))
    is_open: set[Subject] = set()
    trips: dict[Subject, list[int]] = {}
    for command in run.commands:
        if isinstance(command, Trip):
            assert command.subject not in is_open
            is_open.add(command.subject)
            trips.setdefault(command.subject, []).append(command.at_us)
        else:
            assert command.subject in is_open
            is_open.discard(command.subject)
    assert is_open == run.state.open
    assert PAGE not in trips
    for times in trips.values():
        assert all(third - first >= HOUR_US for first, third in zip(times, times[2:], strict=False))


@given(EVENTS)
def test_the_same_events_give_the_same_commands(events):
    """A fold: nothing but the events decides."""
    outcomes = []
    for _ in range(2):
        run = Run()
        for subject, is_ready, seconds in events:
            run.at_s += seconds
            at_us = run.at_s * SECOND_US
            run.feed(Tick(at_us) if subject is None else Report(subject, is_ready, "why", at_us))
        outcomes.append(run.commands)
    assert outcomes[0] == outcomes[1]


def test_the_manifest_gives_the_dependencies():
    """Who reads a topic depends on its writer; who speaks to the exchange depends on it."""
    found = app.dependencies(manifest.SERVICES)
    assert found["unified_production_coordinator"] == {"btc_price_watchdog", "kalshi_api_watchdog"}
    assert found["active_trade_supervisor"] == {"unified_production_coordinator"}
    assert found["trade_executor"] == {"exchange_simulator"}
    assert found["trade_manager"] == frozenset()


@pytest.mark.parametrize(
    "service", ["main_app", "db_poller", "system_monitor", "auto_entry_supervisor"]
)
def test_shared_services_and_entry_itself_guard_nothing(service):
    """The page is not needed for a safe entry; without the entry services there is none."""
    assert service not in app.guards(manifest.SERVICES)


def test_stops_and_the_executor_guard_entries():
    """An entry that could not be stopped, sent off or booked must not happen."""
    assert app.guards(manifest.SERVICES) >= {
        "active_trade_supervisor",
        "trade_executor",
        "kalshi_account_sync",
        "btc_price_watchdog",
    }
