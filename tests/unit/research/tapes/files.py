"""Small real files for the tests of tapes, and ways to spoil them."""

import gzip
from functools import cache
from pathlib import Path

import msgspec

from recio.data import frames
from recio.data.frames import MarketFrame
from recio.domain.units import format_time_us

FOLDER = Path(__file__).parents[3] / "data" / "tapes"
RECORDINGS = Path(__file__).parents[3] / "data" / "kalshi"
TRADES = FOLDER / "kxbtc15m_trades_2026-04-27T1830Z_2026-04-27T1900Z.csv.gz"
MINUTES = FOLDER / "btc_1m_2026-04-27_2026-04-27.csv.gz"
SECONDS = FOLDER / "btc_1s_2026-05-13.csv.gz"
SETTLED = FOLDER / "kxbtc15m_settled_2026-05-11_2026-05-13.csv.gz"
QUOTES = FOLDER / "kx15m_quotes_2026-02-25T0422Z_2026-02-25T0448Z.csv.gz"
ETH_QUOTES = FOLDER / "kxeth15m_quotes_2026-08-17T0538Z.csv.gz"


def lines_of(path):
    """Return the lines of a gzip file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def write(path, lines):
    """Write lines as gzip; return the path."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def half(path, target):
    """Write the first half of a file's bytes: what a crash leaves."""
    content = path.read_bytes()
    target.write_bytes(content[: len(content) // 2])
    return target


def jsonl(held):
    """Return a recording's frames as the recorder wrote them, a line each."""
    return [_line(frame) for frame in held]


def recording():
    """Return the packaged recording as lines of JSON."""
    return list(_recording())


@cache
def _recording():
    return tuple(jsonl(frames.load("kxbtc15m_ws_2026-05-13T125943Z")))


def _line(frame):
    received_ns = frame.received_ms * 1_000_000
    if isinstance(frame, MarketFrame):
        strike = None if frame.strike_usd_e6 is None else frame.strike_usd_e6 / 1e6
        body = {
            "market_ticker": frame.market,
            "close_time": format_time_us(frame.close_us),
            "status": frame.status,
            "strike": strike,
        }
        line = {"recv_ns": received_ns, "type": "market_meta", "seq": None, "msg": body}
        return msgspec.json.encode(line).decode()
    sent = msgspec.json.decode(frames.message(frame))
    line = {"recv_ns": received_ns, "type": sent["type"], "seq": sent.get("seq")}
    return msgspec.json.encode(line | {"msg": sent["msg"]}).decode()
