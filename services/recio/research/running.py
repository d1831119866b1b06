"""One backtest in a process of its own: what to play comes in as a line, what was found goes out.

    python -m recio.research.running    one JSON object a line: Job in; Heard (progress, then a reply) out

Sweeps use it to fill the processors, the bias guard to play under another hash seed. A worker ends
when its input ends. An interruption is the parent's business, so a worker does not listen to it.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final

import msgspec

from recio.domain.account_config import AccountConfig, StrategyName, parse_account
from recio.domain.errors import Broken, InvalidValue, RecioError
from recio.engine.records import Record
from recio.research import backtest
from recio.research.cutting import CutTape
from recio.research.result import Result
from recio.research.tapes.opening import open_tape
from recio.research.tapes.tape import Coverage, Tape
from recio.runtime.sandbox.client import Sandbox

TELL_SECONDS: Final = 1.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run: the account's document, the tape by its name, and what else decides the outcome."""

    name: str
    document: dict[str, Any]
    tape: str
    seed: int = 1
    latency_ms: int = backtest.LATENCY_MS
    until_us: int | None = None
    strategy_file: str = ""
    """The code of a strategy of one's own; needed exactly if the document names one."""


class EventLine(msgspec.Struct, frozen=True, array_like=True):
    """What an event's trades came to."""

    event_ticker: str
    close_us: int
    pnl_usd_e6: int
    fees_usd_e6: int
    qty_e2: int
    trades: int
    won: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found, small enough to send and to keep."""

    name: str
    digest: str
    events: tuple[EventLine, ...]
    unknown: int
    """Trades without a known result."""
    decisions: int
    orders: int
    is_synthetic: bool
    caveat: str
    coverage: Coverage
    cpu_seconds: float


class Heard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a worker: how far its market time is, what it found, or why it could not play."""

    at_us: int = 0
    found: Found | None = None
    error: str = ""


class Digest:
    """A sink that keeps only a checksum of all decisions."""

    def __init__(self) -> None:
        self._sum = hashlib.blake2b(digest_size=16)

    def decision(self, record: Record) -> None:
        """Add a decision."""
        self._sum.update(packed(record))

    def of(self, result: Result) -> str:
        """Return the checksum of all decisions, trades and the curve."""
        whole = self._sum.copy()
        whole.update(msgspec.msgpack.encode((result.trades, result.equity)))
        whole.update(msgspec.json.encode((result.gates, result.refusals), order="deterministic"))
        return whole.hexdigest()


_packer: Final = msgspec.msgpack.Encoder()


def packed(record: Record) -> bytes:
    """Return a decision's record as bytes: two are the same decision if these are."""
    return _packer.encode(record)


def play(job: Job, *, tell: Callable[[int], None] | None = None) -> Found:
    """Play a job here and now.

    Raises:
        InvalidValue: the document or the tape's name is not valid, or the tape cannot be read.
    """
    tape: Tape = open_tape(job.tape, seed=job.seed)
    if job.until_us is not None:
        tape = CutTape(tape, job.until_us)
    config, sink = parse_account(job.document), Digest()
    file = Path(job.strategy_file) if job.strategy_file else None
    with own_strategy(config, file) as sandbox:
        result = backtest.run(
            config,
            tape,
            sink=sink,
            seed=job.seed,
            latency_ms=job.latency_ms,
            document=job.document,
            answer=None if sandbox is None else sandbox.answer,
            progress=tell,
        )
    return found_of(job.name, result, sink.of(result))


def own_strategy(
    config: AccountConfig, file: Path | None
) -> AbstractContextManager[Sandbox | None]:
    """Return a trader's own strategy in its process, or nothing for the built-in one.

    Raises:
        InvalidValue: one is named and its file is not, or the other way round.
    """
    custom = config.strategy.custom if config.strategy.name is StrategyName.CUSTOM else None
    if custom is not None and file is not None:
        return Sandbox(file, custom.class_name, custom.parameters)
    if custom is None and file is None:
        return nullcontext()
    raise InvalidValue(
        f"expected --strategy-file exactly if strategy.name is Custom, received "
        f"{config.strategy.name.value} and {file or 'no file'}"
    )


def found_of(name: str, result: Result, digest: str) -> Found:
    """Return a run's result in small."""
    known = [one for one in result.trades if one.filled_qty_e2 and one.pnl_usd_e6 is not None]
    sums: dict[str, list[int]] = {}
    for one in known:
        pnl = one.pnl_usd_e6 or 0
        held = sums.setdefault(one.event_ticker, [one.close_us, 0, 0, 0, 0, 0])
        for at, value in enumerate((pnl, one.fees_usd_e6, one.filled_qty_e2, 1, pnl > 0), 1):
            held[at] += value
    ordered = sorted(sums.items(), key=lambda item: (item[1][0], item[0]))
    return Found(
        name=name,
        digest=digest,
        events=tuple(EventLine(event, *held) for event, held in ordered),
        unknown=sum(1 for one in result.trades if one.filled_qty_e2) - len(known),
        decisions=result.decisions,
        orders=result.orders,
        is_synthetic=result.is_synthetic,
        caveat=result.caveat,
        coverage=result.coverage,
        cpu_seconds=result.cpu_seconds,
    )


_heard: Final = msgspec.json.Decoder(Heard)
_job: Final = msgspec.json.Decoder(Job)
_encoder: Final = msgspec.json.Encoder()


class Worker:
    """One process that plays jobs. ``extra`` is added to its environment."""

    def __init__(self, extra: Mapping[str, str] = MappingProxyType({})) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": "0", **extra}  # noqa: TID251 (a child's own)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recio.research.running"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A line that waits in a buffer of ours would not wake ``select``.
            bufsize=0,
            env=environment,
        )
        self.at_us = 0

    def send(self, job: Job) -> None:
        """Begin a job; ``hear`` tells of it."""
        assert self._process.stdin is not None
        self.at_us = 0
        self._process.stdin.write(_encoder.encode(job) + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Heard:
        """Return the next line.

        Raises:
            Broken: the process ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Broken(f"a worker ended with status {self._process.wait()}: see above")
        heard = _heard.decode(line)
        self.at_us = heard.at_us or self.at_us
        return heard

    def answer(self, job: Job) -> Found:
        """Play a job to its end.

        Raises:
            Broken: the process ended, or could not play it.
        """
        self.send(job)
        while True:
            heard = self.hear()
            if heard.error:
                raise Broken(f"{job.name} could not be played: {heard.error}")
            if heard.found is not None:
                return heard.found

    def fileno(self) -> int:
        """Return what becomes readable when there is a line."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def close(self) -> None:
        """End it at once; what it was playing is lost."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def played(
    jobs: Iterable[Job], workers: int
) -> Generator[tuple[Job, Heard, list[int]], None, None]:
    """Play jobs over workers; yield every line with its job and how far each worker's market is.

    Raises:
        Broken: a worker ended.
    """
    left = iter(jobs)
    with ExitStack() as stack:
        made = [stack.enter_context(closing(Worker())) for _ in range(workers)]
        playing = dict(zip(made, left, strict=False))
        for worker, job in playing.items():
            worker.send(job)
        while playing:
            for worker in select.select(list(playing), (), ())[0]:
                heard = worker.hear()
                job = playing[worker]
                if heard.found is not None or heard.error:
                    _follow(playing, worker, next(left, None))
                yield job, heard, [one.at_us for one in playing]


def _follow(playing: dict[Worker, Job], worker: Worker, job: Job | None) -> None:
    if job is None:
        del playing[worker]
    else:
        playing[worker] = job
        worker.send(job)


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer each line until there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told_s = 0.0

    def say(heard: Heard) -> None:
        sink.write(_encoder.encode(heard) + b"\n")
        sink.flush()

    def tell(at_us: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s > TELL_SECONDS:
            told_s = time.monotonic()
            say(Heard(at_us=at_us))

    for line in source:
        try:
            say(Heard(found=play(_job.decode(line), tell=tell)))
        except RecioError as error:
            say(Heard(error=str(error)))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
