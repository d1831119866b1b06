"""Targets: the file that `recio replay --export` writes, read and replayed as the command does it."""

from io import BytesIO
from typing import Any

import msgspec
from tests.fuzz.mutators import Binary, Values
from tests.fuzz.ours import _BATCH, _ENTRY, _STOP, ID, NOW_US, T
from tests.fuzz.targets import Target

from recio import cli_replay
from recio.domain.errors import InvalidValue
from recio.domain.intents import Intent, Purpose, Source
from recio.engine import export, journal
from recio.engine.records import Record
from recio.engine.replaying import STOPS, Replaying

_INTENT = Intent(
    intent_id=ID, account="paper", purpose=Purpose.EXIT, source=Source.AUTO_STOP, market_ticker=T,
    event_ticker="KXBTCD-26AUG1717", side="yes", qty_e2=100, limit_price_e4=9500, at_us=NOW_US,
    valid_until_us=NOW_US, trade_id=ID, decision_id=ID, reason="r",
)  # fmt: skip
_RECORDS = tuple(
    Record(decision_id=ID, account="paper", kind=kind, event_ticker="KXBTCD-26AUG1717",
           generation=7, at_us=NOW_US, body=msgspec.msgpack.encode(body))
    for kind, body in (("entry", _ENTRY), ("stop", _STOP))
)  # fmt: skip
_FRAMES: tuple[export.Frame, ...] = (
    export.Opening(version="1", code="c", accounts={"paper": "paper"}),
    export.Artefact(kind="volatility", name="v", sha256="00", body=b"{}"),
    export.Kept(journal.sealed(msgspec.structs.replace(_BATCH, host=STOPS), b"")),
    export.Decided(records=_RECORDS, intents=(_INTENT,)),
)


def _file(frames: tuple[export.Frame, ...]) -> bytes:
    written = BytesIO()
    writer = export.Writer(written.write)
    for frame in frames:
        writer.add(frame)
    writer.close()
    return written.getvalue()


def _replayed(data: bytes) -> Any:
    replaying = Replaying(code="c")
    for frame in export.frames(BytesIO(data).read):
        replaying.take(frame)
    return cli_replay.lines(replaying.finish())


def _resealed(data: bytes) -> Any:
    """Read a frame that was changed and sealed again: the digests do not help then."""
    body = export.zlib.compress(data)
    written = BytesIO()
    writer = export.Writer(written.write)
    writer.add(_FRAMES[0])
    digest = export.hashlib.sha256(writer.digest + body).digest()
    written.write(len(body).to_bytes(4, "big") + digest + body)
    writer.digest, writer.frames = digest, 2
    writer.close()
    return _replayed(written.getvalue())


_GOOD = (_file(_FRAMES[:1] + _FRAMES[2:]), _file(_FRAMES[:1]))
TARGETS = (
    Target(name="journal file", decode=_replayed, maker=Binary(_GOOD), examples=_GOOD,
           refusals=(InvalidValue,), check=lambda _: None, share=0.3),
    Target(name="journal file's frame", decode=_resealed, maker=Values(_FRAMES),
           examples=[msgspec.msgpack.encode(each) for each in _FRAMES],
           refusals=(InvalidValue,), check=lambda _: None, share=0.5),
)  # fmt: skip
