"""The download of candles, against a server of the documented endpoint on this machine."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from recio.adapters.postgres.history import HistoryStore
from recio.domain.errors import InvalidValue, Unavailable
from recio.domain.units import time_us
from recio.research.history import coinbase
from recio.research.history.importing import Watch

SINCE_S = 1_704_067_200
WATCH = Watch(wall_us=lambda: 1_800_000_000_000_000, tell=lambda *_: None)
MOST = 300


class Venue(ThreadingHTTPServer):
    """Candles of every minute but the ``absent`` ones; ``answers`` come first, one a request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.absent = set()
        self.answers = []
        self.asked = []
        self.extra = []
        self.most_pages = None

    @property
    def url(self):
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """The endpoint."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Answer with candles, newest first."""
        venue, parts = self.server, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert parts.path == "/products/BTC-USD/candles"
        assert query["granularity"] == "60"
        start, end = (
            time_us(datetime.fromisoformat(query[name])) // 1_000_000 for name in ("start", "end")
        )
        venue.asked.append((start, end))
        if venue.answers:
            status, headers = venue.answers.pop(0)
            self.reply(status, b'{"message":"slow down"}', headers)
            return
        if venue.most_pages is not None and len(venue.asked) > venue.most_pages:
            self.reply(503, b"", {})
            return
        times = [at for at in range(start, end + 1, 60) if at not in venue.absent]
        assert len(times) <= MOST
        candles = [[at, 41999.5, 42001.25, 42000, 42001, 1.5] for at in reversed(times)]
        self.reply(200, json.dumps(candles + venue.extra).encode(), {})

    def reply(self, status, body, headers):
        """Send it."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def venue():
    """The server, running."""
    server = Venue()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(venue, url, minutes=1000):
    """Download so many minutes."""
    wanted = coinbase.Wanted(
        product="BTC-USD",
        since_us=SINCE_S * 1_000_000,
        until_us=(SINCE_S + 60 * minutes) * 1_000_000,
        every_s=0.0,
        first_pause_s=0.0,
    )
    with HistoryStore(url) as store:
        return coinbase.download(wanted, venue.url, store, WATCH)


COUNT = "SELECT count(*), min(open_usd_e6), max(volume_e8) FROM market.history_minutes"


def test_pages_of_three_hundred_follow_each_other_without_a_gap_or_an_overlap(
    venue, database_url, ask
):
    """Both ends of a page are included, so the next begins a minute later."""
    report = fetched(venue, database_url)
    assert (report.new, report.known, report.refusals.total) == (1000, 0, 0)
    assert [end - start for start, end in venue.asked] == [299 * 60] * 3 + [99 * 60]
    assert ask(COUNT) == [(1000, 42_000_000_000, 150_000_000)]


def test_a_second_time_nothing_is_asked(venue, database_url):
    """The log knows the very same stretch."""
    fetched(venue, database_url)
    venue.asked.clear()
    assert fetched(venue, database_url).was_complete
    assert venue.asked == []


def test_an_interrupted_download_goes_on_behind_the_last_page(venue, database_url, ask):
    """What was stored stays; nothing is fetched twice."""
    venue.most_pages = 2
    with pytest.raises(Unavailable, match="what was stored stays, run it again"):
        fetched(venue, database_url)
    assert ask(COUNT)[0][0] == 600
    venue.most_pages = None
    venue.asked.clear()
    report = fetched(venue, database_url)
    assert report.new == 1000
    assert venue.asked[0][0] == SINCE_S + 600 * 60


def test_too_many_requests_and_server_errors_are_tried_again(venue, database_url):
    """As long as Retry-After says."""
    venue.answers = [(429, {"Retry-After": "0"}), (503, {}), (500, {})]
    assert fetched(venue, database_url, 10).new == 10
    assert len(venue.asked) == 4


def test_a_request_that_is_wrong_is_not_repeated(venue, database_url):
    """A product that the venue does not know will not be known in a second either."""
    venue.answers = [(404, {})]
    with pytest.raises(InvalidValue, match="refused the request: 404"):
        fetched(venue, database_url, 10)
    assert len(venue.asked) == 1


def test_minutes_without_a_trade_are_a_gap_and_not_filled(venue, history):
    """The venue leaves them out, and so do we; the report says where."""
    venue.absent = set(range(SINCE_S + 3600, SINCE_S + 3600 + 600, 60))
    status, said = history(
        "import", "--coinbase", "BTC-USD", "--from", "2024-01-01T00:00+00:00",
        "--until", "2024-01-01T02:00+00:00", "--base-url", venue.url,
    )  # fmt: skip
    assert status == 0
    assert "110 stored" in said
    assert "1 gap, 10 min in all" in said
    assert "10 missing" in said


def test_candles_that_nobody_asked_for_are_refused(venue, database_url, ask):
    """And those that cannot be."""
    venue.extra = [
        [SINCE_S - 60, 1, 2, 1, 2, 1],
        [SINCE_S, 41999.5, 42001.25, 42000, 42001, 2],
        [SINCE_S + 30, 41999.5, 42001.25, 42000, 42001, 2],
        [SINCE_S, 42002, 42001, 42000, 42001, 1],
        [SINCE_S],
    ]
    report = fetched(venue, database_url, 10)
    assert report.refusals.counts == {
        "candle outside of what was asked for": 1,
        "duplicate": 1,
        "time not on a minute": 1,
        "open, high, low and close contradict each other": 1,
        "candle with missing numbers": 1,
    }
    assert ask(COUNT)[0][0] == 10


def test_a_minute_that_is_not_over_is_not_fetched(venue, database_url):
    """It would be stored unfinished, and stay so."""
    wanted = coinbase.Wanted(
        product="BTC-USD", since_us=SINCE_S * 1_000_000, until_us=(SINCE_S + 600) * 1_000_000
    )
    watch = Watch(wall_us=lambda: (SINCE_S + 599) * 1_000_000, tell=lambda *_: None)
    with HistoryStore(database_url) as store, pytest.raises(InvalidValue, match="not over yet"):
        coinbase.download(wanted, venue.url, store, watch)
    assert venue.asked == []
