"""Files into the history: stored once, gone on with, refused by name and count."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile

import psycopg
import pytest
from tests.integration.history.conftest import MINUTES, START_S, minute_rows, write

from recio.adapters.postgres.history import HistoryStore
from recio.domain.errors import InvalidValue, Rejected
from recio.research.history import importing
from recio.research.history.importing import Options, Watch, import_file

NOW_US = 1_800_000_000_000_000
WATCH = Watch(wall_us=lambda: NOW_US, tell=lambda *_: None)
BINANCE = Options(symbol="BTC", source="binance")
COUNT = "SELECT count(*) FROM market.history_minutes"
SETTLED = "ticker,close_ts,strike,settlement_price,result,settlement_ts"


def taken(path, url, options=BINANCE):
    """Import a file and return the report."""
    with HistoryStore(url) as store:
        return import_file(path, options, store, WATCH)


def test_a_minute_is_stored_exactly_and_named_by_its_end(tmp_path, history, ask):
    """Prices are exact millionths; a minute is known when it is over."""
    path = write(tmp_path / "m.csv", MINUTES, ["1704067200,42000.01,42000.1,41999.5,42000,1.5"])
    assert history("import", path, "--symbol", "BTC", "--source", "binance")[0] == 0
    rows = ask(
        "SELECT extract(epoch FROM at)::bigint, open_usd_e6, high_usd_e6, low_usd_e6, close_usd_e6,"
        " volume_e8, symbol, source FROM market.history_minutes JOIN market.history_feeds USING (feed)"
    )
    assert rows == [
        (
            1704067260,
            42000010000,
            42000100000,
            41999500000,
            42000000000,
            150000000,
            "BTC",
            "binance",
        )
    ]


def test_the_same_file_twice_changes_nothing(tmp_path, database_url, ask):
    """The log knows it by its checksum."""
    path = write(tmp_path / "m.csv.gz", MINUTES, minute_rows(3000))
    first, second = taken(path, database_url), taken(path, database_url)
    assert (first.new, first.known, second.was_complete, second.read) == (3000, 0, True, 3000)
    assert ask(COUNT) == [(3000,)]
    assert ask("SELECT count(*) FROM market.history_imports") == [(1,)]


def test_files_that_overlap_store_each_minute_once(tmp_path, database_url, ask):
    """The second one tells how many rows were there already."""
    taken(write(tmp_path / "a.csv", MINUTES, minute_rows(100)), database_url)
    later = write(tmp_path / "b.csv", MINUTES, minute_rows(150)[50:])
    report = taken(later, database_url)
    assert (report.new, report.known, report.refusals.total) == (50, 50, 0)
    assert ask(COUNT) == [(150,)]


def test_what_is_stored_is_not_written_over(tmp_path, database_url, ask):
    """A row that says otherwise about a stored minute is refused, with its place."""
    rows = minute_rows(10)
    taken(write(tmp_path / "a.csv", MINUTES, rows), database_url)
    other = rows[4].rsplit(",", 1)[0] + ",999"
    report = taken(write(tmp_path / "b.csv", MINUTES, [*rows[:4], other]), database_url)
    assert report.refusals.counts == {"contradicts what is stored": 1}
    assert (report.known, report.good) == (4, 4)
    assert ask("SELECT count(*) FROM market.history_minutes WHERE volume_e8 = 99900000000") == [
        (0,)
    ]


def test_a_run_that_was_cut_off_goes_on_behind_its_last_batch(
    tmp_path, database_url, ask, monkeypatch
):
    """Nothing twice, nothing left out, and the counts are those of the whole file."""
    monkeypatch.setattr(importing, "BATCH", 100)
    rows = minute_rows(450)
    rows.insert(30, "nonsense,1,1,1,1,1")
    path = write(tmp_path / "m.csv", MINUTES, rows)
    whole = HistoryStore.write

    def cut_off(self, import_id, batch, told):
        if told.done > 200:
            raise KeyboardInterrupt
        return whole(self, import_id, batch, told)

    with monkeypatch.context() as patch:
        patch.setattr(HistoryStore, "write", cut_off)
        with pytest.raises(KeyboardInterrupt):
            taken(path, database_url)
    assert ask(COUNT) == [(200,)]
    assert ask("SELECT state, done FROM market.history_imports") == [("running", 200)]
    report = taken(path, database_url)
    assert (report.resumed_at, report.new, report.read) == (200, 450, 451)
    assert ask(
        "SELECT state, rows_read, rows_stored, rows_refused FROM market.history_imports"
    ) == [("complete", 451, 450, 1)]
    assert ask(COUNT) == [(450,)]


BAD = [
    ("duplicate", lambda rows: rows.insert(5, rows[4])),
    ("duplicate that says otherwise", lambda rows: rows.insert(5, rows[4] + "1")),
    ("out of order", lambda rows: rows.insert(20, rows[3])),
    ("not a number", lambda rows: rows.__setitem__(5, f"{START_S + 300},NaN,1,1,1,1")),
    ("not a number", lambda rows: rows.__setitem__(5, f"{START_S + 300},,42001,42000,42000,1")),
    ("time in another unit", lambda rows: rows.__setitem__(5, rows[5].replace(",", "000,", 1))),
    ("time of unknown unit", lambda rows: rows.__setitem__(5, "17040675," + rows[5][11:])),
    ("time not on a minute", lambda rows: rows.__setitem__(5, f"{START_S + 301}," + rows[5][11:])),
    (
        "open, high, low and close contradict each other",
        lambda rows: rows.__setitem__(5, f"{START_S + 300},42000,41990,41980,42000,1"),
    ),
    (
        "price jumps threefold within a day",
        lambda rows: rows.__setitem__(5, f"{START_S + 300},4200000,4200000,4200000,4200000,1"),
    ),
    (
        "price not between 0 and 100,000,000 dollars",
        lambda rows: rows.__setitem__(5, f"{START_S + 300},-42000,42000,42000,42000,1"),
    ),
    ("volume below 0 or absurd", lambda rows: rows.__setitem__(5, rows[5][:-5] + "-1")),
    ("another number of columns than the header", lambda rows: rows.insert(5, "1704067500,42000")),
    ("time before 2009 or in the future", lambda rows: rows.append("4000000000,1,1,1,1,1")),
]


@pytest.mark.parametrize(
    ("reason", "spoil"), BAD, ids=[f"{n}-{row[0]}" for n, row in enumerate(BAD)]
)
def test_a_bad_row_is_named_and_counted_and_the_others_are_kept(
    tmp_path, database_url, ask, reason, spoil
):
    """One bad row costs one row."""
    rows = minute_rows(30)
    spoil(rows)
    report = taken(write(tmp_path / "m.csv", MINUTES, rows), database_url)
    assert report.refusals.counts == {reason: 1}
    assert reason in report.refusals.examples[reason]
    assert report.read == len(rows)
    assert ask(COUNT) == [(len(rows) - 1,)]
    assert ask("SELECT refused FROM market.history_imports") == [({reason: 1},)]


def test_a_last_line_without_its_end_is_refused(tmp_path, database_url):
    """Nobody can tell whether 42003.1 was 42003.15."""
    path = write(tmp_path / "m.csv", MINUTES, minute_rows(10), end="")
    report = taken(path, database_url)
    assert report.refusals.counts == {"line cut off before its end": 1}
    assert report.new == 9


def test_nothing_of_a_half_written_archive_is_taken(tmp_path, history, ask):
    """A download that broke off is fetched again, not half believed."""
    path = write(tmp_path / "m.csv.gz", MINUTES, minute_rows(2000))
    path.write_bytes(path.read_bytes()[:-200])
    status, said = history("import", path, "--symbol", "BTC", "--source", "x")
    assert status == 1
    assert "half-written or damaged" in said
    assert ask("SELECT count(*) FROM market.history_imports") == [(0,)]


def test_newest_first_is_as_good(tmp_path, database_url, ask):
    """Many downloads come that way round; what goes the other way is then out of order."""
    rows = minute_rows(20)[::-1]
    rows.insert(10, rows[2])
    report = taken(write(tmp_path / "m.csv", MINUTES, rows), database_url)
    assert report.refusals.counts == {"out of order": 1}
    assert ask(COUNT) == [(20,)]


def test_milliseconds_and_microseconds_are_told_by_their_digits(tmp_path, database_url, ask):
    """Binance changed from one to the other in 2025."""
    rows = [row.split(",", 1) for row in minute_rows(4)]
    milli = [f"{at}000,{rest}" for at, rest in rows[:2]]
    micro = [f"{at}000000,{rest}" for at, rest in rows[2:]]
    taken(write(tmp_path / "a.csv", MINUTES, milli), database_url)
    taken(write(tmp_path / "b.csv", MINUTES, micro), database_url)
    assert ask(
        "SELECT count(*), max(extract(epoch FROM at))::bigint FROM market.history_minutes"
    ) == [(4, START_S + 240)]


def test_a_kline_file_without_a_header_is_known(tmp_path, database_url, ask):
    """Twelve columns, the first a time: Binance's public archive."""
    row = "1704067200000,42000.1,42010,41990,42005,3.5,1704067259999,147000,12,1.5,63000,0"
    path = tmp_path / "BTCUSDT-1m-2024-01.csv"
    path.write_text(f"{row}\n")
    taken(path, database_url)
    assert ask("SELECT close_usd_e6, volume_e8 FROM market.history_minutes") == [
        (42005000000, 350000000)
    ]


def test_an_archive_of_one_file_is_opened_and_a_damaged_one_refused(tmp_path, database_url, ask):
    """As Binance publishes them: its checksums tell whether it is whole."""
    row = "1704067200000000,42000.1,42010,41990,42005,3.5,1704067259999999,147000,12,1.5,63000,0"
    path = tmp_path / "BTCUSDT-1m-2025-01.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-1m-2025-01.csv", f"{row}\n" * 1)
    assert taken(path, database_url).new == 1
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    path.write_bytes(data)
    with pytest.raises(InvalidValue, match="half-written or damaged"):
        taken(path, database_url)
    path.write_bytes(data[:-30])
    with pytest.raises(InvalidValue, match="half-written or damaged"):
        taken(path, database_url)
    assert ask(COUNT) == [(1,)]


def test_cents_for_dollars_are_refused_whole_when_somebody_else_recorded_dollars(
    tmp_path, database_url, ask
):
    """A price a hundred times that of another source is no opinion."""
    taken(write(tmp_path / "a.csv", MINUTES, minute_rows(10)), database_url)
    cents = minute_rows(10, price=4_200_000.0)
    path = write(tmp_path / "b.csv", MINUTES, cents)
    with pytest.raises(InvalidValue, match="100 times those of binance"):
        taken(path, database_url, Options(symbol="BTC", source="other"))
    assert ask(COUNT) == [(10,)]


def test_times_without_a_zone_are_refused_unless_they_are_said_to_be_utc(tmp_path, database_url):
    """New York or London: the file does not say."""
    path = write(tmp_path / "m.csv", "date,open,high,low,close", ["2024-01-01 00:00:00,1,1,1,1"])
    assert taken(path, database_url).refusals.counts == {
        "time without a zone (say --utc if it is UTC)": 1
    }
    said = Options(symbol="BTC", source="binance", is_utc=True)
    assert taken(path, database_url, said).new == 1


def test_minutes_need_a_symbol_and_a_source(tmp_path, history):
    """Two facts that such a file does not hold."""
    path = write(tmp_path / "m.csv", MINUTES, minute_rows(3))
    assert "minutes need --symbol" in history("import", path)[1]
    assert "minutes need --source" in history("import", path, "--symbol", "BTC")[1]


def test_a_dry_run_writes_nothing(tmp_path, history, ask):
    """It reads, judges and tells."""
    path = write(tmp_path / "m.csv", MINUTES, [*minute_rows(5), "x,1,1,1,1,1"])
    status, said = history("import", path, "--symbol", "BTC", "--source", "b", "--dry-run")
    assert status == 0
    assert "5 good (a dry run" in said
    assert "not a time" in said
    assert ask("SELECT count(*) FROM market.history_imports") == [(0,)]


def test_seconds_are_stored_without_filling(tmp_path, database_url, ask):
    """A second without a trade has no row."""
    path = write(tmp_path / "s.csv", "ts,price", ["1778501186,81131.29", "1778501189,81131.3"])
    taken(path, database_url, Options(symbol="BTC", source="coinbase"))
    assert ask("SELECT count(*), min(price_usd_e6) FROM market.history_seconds") == [
        (2, 81131290000)
    ]


HOUR = "KXBTCD-25AUG0122"
CLOSE_S = 1_754_100_000


def test_results_are_stored_with_the_strike_that_the_ticker_names(tmp_path, database_url, ask):
    """And with the value they were settled on."""
    row = f"{HOUR}-T119499.99,{CLOSE_S},,119600.5,yes,{CLOSE_S + 71}"
    report = taken(write(tmp_path / "r.csv", SETTLED, [row]), database_url, Options())
    assert (report.kind, report.new) == ("settlements", 1)
    assert ask(
        "SELECT strike_usd_e6, value_usd_e6, result, source, symbol FROM market.history_markets"
        " JOIN market.history_feeds USING (feed)"
    ) == [(119499990000, 119600500000, "yes", "kalshi", "BTC")]


WRONG_RESULTS = [
    ("result contradicts strike and value", f"{HOUR}-T119499.99,{CLOSE_S},,119600.5,no,"),
    ("result neither yes nor no", f"{HOUR}-T119499.99,{CLOSE_S},,,maybe,"),
    ("close differs from the ticker's", f"{HOUR}-T119499.99,{CLOSE_S + 900},,,yes,"),
    ("strike differs from the ticker's", f"{HOUR}-T119499.99,{CLOSE_S},119000,,yes,"),
    ("ticker of no series that we know", f"KXRAIN-25AUG0122-T1,{CLOSE_S},,,yes,"),
]


@pytest.mark.parametrize(("reason", "row"), WRONG_RESULTS, ids=[row[0] for row in WRONG_RESULTS])
def test_a_result_that_cannot_be_is_refused(tmp_path, database_url, reason, row):
    """A label that is wrong poisons every figure that is learned from it."""
    good = f"{HOUR}-T119249.99,{CLOSE_S},,119600.5,yes,"
    report = taken(write(tmp_path / "r.csv", SETTLED, [good, row]), database_url, Options())
    assert report.refusals.counts == {reason: 1}
    assert report.new == 1


def test_unknown_facts_of_a_market_are_filled_in_and_known_ones_stay(tmp_path, database_url, ask):
    """One file knows the result, another the strike; a third that contradicts is refused."""
    ticker, close = "KXBTC15M-26MAY130915-15", 1_778_678_100
    files = [
        f"{ticker},{close},,,yes,",
        f"{ticker},{close},80000,80001,yes,",
        f"{ticker},{close},,,no,",
    ]
    reports = [
        taken(write(tmp_path / f"{n}.csv", SETTLED, [row]), database_url, Options())
        for n, row in enumerate(files)
    ]
    assert [report.new for report in reports] == [1, 1, 0]
    assert reports[2].refusals.counts == {"contradicts what is stored": 1}
    assert ask("SELECT strike_usd_e6, value_usd_e6, result FROM market.history_markets") == [
        (80000000000, 80001000000, "yes")
    ]


def test_one_import_of_a_source_runs_at_a_time(tmp_path, database_url):
    """Two at once could both find a stretch empty."""
    path = write(tmp_path / "m.csv", MINUTES, minute_rows(3))
    with HistoryStore(database_url) as store:
        store.lock("binance")
        with pytest.raises(Rejected, match="another import of 'binance' is under way"):
            taken(path, database_url)


def test_an_import_can_be_taken_back_and_run_again(tmp_path, history, ask):
    """A file that turns out to be wrong leaves no row; its line in the log says so."""
    path = write(tmp_path / "m.csv", MINUTES, minute_rows(50))
    words = ("import", path, "--symbol", "BTC", "--source", "b")
    history(*words)
    assert "50 rows taken back" in history("forget", "1")[1]
    assert ask(COUNT) == [(0,)]
    assert "forgotten" in history("log")[1]
    history(*words)
    assert ask(COUNT) == [(50,)]
    assert "no import has the number 9" in history("forget", "9")[1]


def test_no_service_may_write_the_history(database_url):
    """Research alone does; a service may not even read it."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT r.rolname, c.relname FROM pg_roles r, pg_class c"
            " WHERE r.rolname LIKE 'recio%' AND r.rolname NOT IN ('recio_owner', 'recio_research')"
            " AND c.relnamespace = 'market'::regnamespace AND c.relname LIKE 'history%'"
            " AND c.relkind IN ('r', 'p') AND has_table_privilege(r.oid, c.oid,"
            " 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
        ).fetchall()
    assert rows == []


def test_research_writes_nothing_but_the_history(database_url):
    """It may read the market; it may change no fact of it."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('market', 'trading', 'ops', 'exchange_sim') AND c.relkind IN ('r', 'p')"
            " AND has_table_privilege('recio_research', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
        ).fetchall()
    assert {name for (name,) in rows} == {
        f"history_{name}"
        for name in ("feeds", "imports", "minutes", "seconds", "markets", "recordings")
    }


def test_a_file_of_json_lines_and_one_of_parquet(tmp_path, database_url, ask):
    """The same rows in another dress."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    lines = tmp_path / "s.jsonl.gz"
    lines.write_bytes(gzip.compress(b'{"ts": 1778501186, "price": 81131.29}\nnonsense\n'))
    report = taken(lines, database_url, Options(symbol="BTC", source="a"))
    assert report.refusals.counts == {"not a JSON object": 1}
    table = pa.table({"ts": [1778501186, 1778501187], "price": [81131.29, None]})
    parquet.write_table(table, tmp_path / "s.parquet")
    report = taken(tmp_path / "s.parquet", database_url, Options(symbol="BTC", source="b"))
    assert report.refusals.counts == {"not a number": 1}
    assert ask(
        "SELECT count(*), min(price_usd_e6), max(price_usd_e6) FROM market.history_seconds"
    ) == [(2, 81131290000, 81131290000)]


def test_a_damaged_parquet_file_is_refused_whole(tmp_path, database_url):
    """Its table of contents stands at its end."""
    pytest.importorskip("pyarrow")
    path = tmp_path / "s.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 100)
    with pytest.raises(InvalidValue, match="no whole Parquet file"):
        taken(path, database_url, Options(symbol="BTC", source="b"))


def test_a_login_that_may_not_is_told_who_may(database_url, history):
    """And a database without the tables is told what to run."""
    service = psycopg.conninfo.make_conninfo(database_url, user="recio_main_app")
    with pytest.raises(Rejected, match="recio_main_app may not work as recio_research"):
        HistoryStore(service).__enter__()
    as_research = psycopg.conninfo.make_conninfo(database_url, user="recio_research")
    with HistoryStore(as_research) as store:
        assert store.feed("x", "BTC") == 1
    assert history("show")[0] == 0


def test_a_process_that_is_killed_leaves_whole_batches_and_the_next_one_goes_on(
    tmp_path, database_url, ask
):
    """Kill -9 in the middle: what the log says is what the table holds."""
    path = write(tmp_path / "m.csv", MINUTES, minute_rows(200_000))
    words = ["history", "import", str(path), "--symbol", "BTC", "--source", "binance"]
    process = subprocess.Popen(
        [sys.executable, "-m", "recio", *words, "--database-url", database_url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not ask("SELECT 1 FROM market.history_imports WHERE done > 0"):
        assert process.poll() is None
    process.kill()
    process.wait()
    done, stored = ask("SELECT done, rows_stored FROM market.history_imports")[0]
    assert 0 < done == stored < 200_000
    assert ask(COUNT) == [(done,)]
    report = taken(path, database_url)
    assert (report.resumed_at, report.new, report.known) == (done, 200_000, 0)
    assert ask(COUNT) == [(200_000,)]
