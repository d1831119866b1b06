"""Snapshots in an account's journal are references, where the coordinator's journal makes them again."""

from __future__ import annotations

import logging
from itertools import chain
from types import SimpleNamespace

import msgspec
import psycopg
import pytest

from recio.adapters.postgres import journal as rows
from recio.adapters.postgres.database import PostgresDatabase
from recio.domain.account_config import Model
from recio.domain.errors import Unavailable
from recio.engine import journal
from recio.engine.journal import EntryStarted, Late, Seen, SnapshotStarted, Stopped
from recio.engine.replay import ENTRY, snapshot_fold
from recio.engine.replaying import COORDINATOR, ENTRIES
from recio.engine.snapshot import Tick
from recio.runtime import journal as journals
from recio.runtime.journal import MOST_HELD, Journal
from recio.runtime.metrics import Metrics, ProcessMetrics
from recio.runtime.revision import deciding_code
from recio.testing.pictures import AT_US, PICTURE, later

SECOND_US = 1_000_000


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_us = AT_US

    def market_us(self) -> int:
        """The time of the market."""
        return self.now_us

    def wall_us(self) -> int:
        """The time of the wall: the same."""
        return self.now_us


class Ground:
    """A coordinator and a host of an account on one database."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.clock = Clock()
        self.generation = 100
        self.database = database
        self.coordinator = Journal(
            self._context(COORDINATOR, None), generation=lambda: self.generation
        )
        self.coordinator.append(
            SnapshotStarted(
                at_us=AT_US, environment="paper", model=Model.FINGERPRINTS, generation=100,
                open_interval_us=1, fingerprints=(),
            )
        )  # fmt: skip
        self.host = Journal(self._context(ENTRIES, "paper"))
        self.host.append(EntryStarted(at_us=AT_US, account="paper", slippage_cents=0))

    def _context(self, name, account):
        return SimpleNamespace(
            row=SimpleNamespace(name=name),
            environment="paper",
            account=account,
            clock=self.clock,
            database=self.database,
            metrics=Metrics(ProcessMetrics(), service=name, account=account),
            log=logging.LoggerAdapter(logging.getLogger("journal"), {}),
        )

    def picture(self):
        """The coordinator takes a tick and makes a snapshot, which the host sees."""
        self.coordinator.append(Tick(self.clock.now_us))
        self.generation += 1
        made = later(PICTURE, (self.clock.now_us - AT_US) / SECOND_US, generation=self.generation)
        self.host.append(made)
        return made

    async def flush(self, *, seconds: float = 5, is_coordinator_there: bool = True) -> None:
        """Let time pass; the coordinator writes before the host."""
        self.clock.now_us += round(seconds * SECOND_US)
        if is_coordinator_there:
            await self.coordinator.flush()
        await self.host.flush()

    async def noted(self, owner="paper", host=ENTRIES, decoder=ENTRY.decoder, *, is_account=True):
        """Return what is in the database of a host."""
        async with self.database.transaction() as tx:
            held = await rows.sessions(tx, owner, host, is_account=is_account)
        return list(chain.from_iterable(journal.decoded(one, decoder) for one in held))


@pytest.fixture
def ground(database, database_url):
    """Both hosts, and the account's row."""
    with psycopg.connect(database_url) as owner:
        owner.execute(
            "INSERT INTO trading.accounts (account, environment, mode, created_at) "
            "VALUES ('paper', 'paper', 'paper', '2026-03-01Z')"
        )
    return Ground(database)


def test_a_snapshot_is_a_reference_and_forgotten_when_it_can_be_made_again(ground, runner):
    """The coordinator's batch says from which generation to which."""

    async def scenario():
        made = [ground.picture() for _ in range(3)]
        await ground.flush()
        await ground.host.close()
        return made, await ground.noted()

    made, noted = runner.run(scenario())
    assert [one for one in noted if isinstance(one, Seen)] == [journal.seen(one) for one in made]
    assert not any(isinstance(one, Late) for one in noted)
    assert isinstance(noted[-1], Stopped)


def test_what_the_coordinator_never_wrote_is_noted_whole(ground, runner):
    """It died: a later run of it has other generations, and does not stand for it."""

    async def scenario():
        kept = ground.picture()
        await ground.flush()
        lost = ground.picture()
        for _ in range(journals.PATIENCE_PAUSES + 2):
            await ground.flush(is_coordinator_there=False)
            ground.host.append(Tick(ground.clock.now_us))
        await ground.flush(is_coordinator_there=False)
        return kept, lost, await ground.noted()

    kept, lost, noted = runner.run(scenario())
    assert [one.snapshot for one in noted if isinstance(one, Late)] == [lost]
    assert journal.seen(kept) in noted
    assert journal.seen(lost) in noted


def test_what_is_not_confirmed_at_the_end_is_noted_whole(ground, runner):
    """Before the end of the session, which closes it."""

    async def scenario():
        made = ground.picture()
        await ground.host.close()
        return made, await ground.noted()

    made, noted = runner.run(scenario())
    assert noted[-2:] == [Late(made), Stopped(AT_US)]


def test_a_coordinator_that_lost_events_stands_for_nothing_more(ground, runner):
    """What follows a gap cannot be made again, so the host keeps it."""

    async def scenario():
        before = ground.picture()
        await ground.flush()
        ground.coordinator._lose(3, ground.clock.now_us)
        after = ground.picture()
        await ground.flush()
        await ground.host.close()
        return before, after, await ground.noted()

    before, after, noted = runner.run(scenario())
    assert [one.snapshot for one in noted if isinstance(one, Late)] == [after]
    assert journal.seen(before) in noted


def test_an_old_snapshot_is_noted_whole(ground, runner):
    """As the stored row may be that exits fall back to."""

    async def scenario():
        ground.clock.now_us += 2 * journals.RECENT_US
        ground.host._first_us = ground.clock.now_us
        ground.host.append(PICTURE)
        await ground.flush()
        return await ground.noted()

    assert PICTURE in runner.run(scenario())


def test_not_more_are_held_than_may_be(ground, runner):
    """While the database is away a host does not hoard; what comes is noted whole."""

    async def scenario():
        ground.host._held = {
            number: journals._Held(PICTURE, ground.clock.now_us) for number in range(MOST_HELD)
        }
        made = ground.picture()
        await ground.flush()
        return made, await ground.noted()

    made, noted = runner.run(scenario())
    assert made in noted


def test_a_start_names_the_code_that_decides(ground, runner):
    """Of both hosts, once a session."""

    async def scenario():
        await ground.flush()
        decoder = snapshot_fold({}).decoder
        return (
            await ground.noted(),
            await ground.noted("paper", COORDINATOR, decoder, is_account=False),
        )

    for noted in runner.run(scenario()):
        assert noted[0].code == deciding_code()
        assert len(deciding_code()) == 12


def test_a_database_that_is_away_loses_no_reference(ground, runner, monkeypatch):
    """Nothing is judged late while nobody can be asked."""

    async def scenario():
        made = ground.picture()
        with monkeypatch.context() as patch:

            async def away(*_args, **_words):
                raise Unavailable("away")

            patch.setattr(Journal, "_exchange", away)
            for _ in range(journals.PATIENCE_PAUSES + 2):
                await ground.flush()
        await ground.flush()
        await ground.host.close()
        return made, await ground.noted()

    made, noted = runner.run(scenario())
    assert journal.seen(made) in noted
    assert not any(isinstance(one, Late) for one in noted)


def test_a_reference_is_proved_by_the_snapshot_s_bytes():
    """Any other picture has another one."""
    other = msgspec.structs.replace(PICTURE, price_usd_e6=PICTURE.price_usd_e6 + 1)
    assert journal.seen(PICTURE) != journal.seen(other)
    assert journal.seen(PICTURE) == journal.seen(
        msgspec.msgpack.decode(msgspec.msgpack.encode(PICTURE), type=type(PICTURE))
    )
