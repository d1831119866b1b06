-- A history for research: what named sources recorded of the real market, over years. It is not what
-- an environment's market said (market.prices, minutes, markets, book_tops: of a paper market those
-- are made up), so it has tables of its own; only whoever imports writes them, no service does.
-- Minutes, seconds and results are rows, because they are asked for by time and value. Trades, tops
-- and books are compressed blocks of one market, because they are only ever played in order: a row
-- each would take twenty times the room. Partitions are made when rows come that need them.

-- As the login that migrates: it alone can make roles.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'recio_research') THEN
        CREATE ROLE recio_research LOGIN;
    END IF;
    EXECUTE format('GRANT recio_research TO %I', current_user);
    -- A batch is laid down in a temporary table before it is compared with what is there.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO recio_research', current_database());
    ALTER ROLE recio_research SET timezone = 'UTC';
    ALTER ROLE recio_research SET idle_in_transaction_session_timeout = '15s';
END
$$;
GRANT SELECT ON ops.migrations TO recio_research;

SET LOCAL ROLE recio_owner;

CREATE TABLE market.history_feeds (
    feed    smallint PRIMARY KEY CHECK (feed > 0),
    source  text NOT NULL CHECK (source ~ '^[a-z0-9][a-z0-9._-]{0,39}$'),
    symbol  text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{2,12}$'),
    UNIQUE (source, symbol)
);
COMMENT ON TABLE market.history_feeds IS
    'Who recorded what; a number (the next one, under a lock), so that a row need not name it.';

CREATE TABLE market.history_imports (
    import         integer PRIMARY KEY CHECK (import > 0),
    kind           text        NOT NULL,
    source         text        NOT NULL,
    symbol         text        NOT NULL,
    options        text        NOT NULL,
    name           text        NOT NULL,
    sha256         text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes     bigint      NOT NULL CHECK (size_bytes >= 0),
    state          text        NOT NULL CHECK (state IN ('running', 'complete', 'forgotten')),
    done           bigint      NOT NULL DEFAULT 0 CHECK (done >= 0),
    rows_read      bigint      NOT NULL DEFAULT 0,
    rows_stored    bigint      NOT NULL DEFAULT 0,
    rows_known     bigint      NOT NULL DEFAULT 0,
    rows_refused   bigint      NOT NULL DEFAULT 0,
    refused        jsonb       NOT NULL DEFAULT '{}',
    first_at       timestamptz,
    last_at        timestamptz,
    started_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    UNIQUE (sha256, kind, source, symbol, options)
);
COMMENT ON TABLE market.history_imports IS
    'One row a file, or a download: what came in, what was refused and why, and how far it got.';
COMMENT ON COLUMN market.history_imports.done IS
    'Good rows behind the last commit (of a download: microseconds fetched): a run that was cut off '
    'goes on from here.';
COMMENT ON COLUMN market.history_imports.sha256 IS 'Of the file as it lies; of a download, of its address.';

-- No foreign keys from rows by the million: they would make an import three times as long (16.5 s
-- against 5.4 s for a million minutes). Nobody may delete what they would point to.
CREATE TABLE market.history_minutes (
    at             timestamptz NOT NULL,
    open_usd_e6    bigint      NOT NULL CHECK (open_usd_e6 > 0),
    high_usd_e6    bigint      NOT NULL,
    low_usd_e6     bigint      NOT NULL CHECK (low_usd_e6 > 0),
    close_usd_e6   bigint      NOT NULL CHECK (close_usd_e6 > 0),
    volume_e8      bigint CHECK (volume_e8 >= 0),
    import         integer     NOT NULL,
    feed           smallint    NOT NULL,
    PRIMARY KEY (feed, at),
    CHECK (high_usd_e6 >= greatest(open_usd_e6, close_usd_e6)),
    CHECK (low_usd_e6 <= least(open_usd_e6, close_usd_e6))
) PARTITION BY RANGE (at);
COMMENT ON COLUMN market.history_minutes.at IS 'End of the minute, as in market.minutes.';

CREATE TABLE market.history_seconds (
    at           timestamptz NOT NULL,
    price_usd_e6 bigint      NOT NULL CHECK (price_usd_e6 > 0),
    import       integer     NOT NULL,
    feed         smallint    NOT NULL,
    PRIMARY KEY (feed, at)
) PARTITION BY RANGE (at);
COMMENT ON TABLE market.history_seconds IS
    'Last price of each second that had one; at is the start of the second. No forward fill.';

CREATE TABLE market.history_markets (
    close_at       timestamptz NOT NULL,
    strike_usd_e6  bigint,
    value_usd_e6   bigint,
    settled_at     timestamptz,
    import         integer     NOT NULL,
    feed           smallint    NOT NULL,
    ticker         text        NOT NULL,
    result         text CHECK (result IN ('yes', 'no')),
    PRIMARY KEY (feed, close_at, ticker)
) PARTITION BY RANGE (close_at);
COMMENT ON TABLE market.history_markets IS
    'Markets of the exchange with strike and result; NULL is not known, and may be filled in later.';
COMMENT ON COLUMN market.history_markets.value_usd_e6 IS 'What the market was settled on.';

CREATE TABLE market.history_recordings (
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL CHECK (last_at >= first_at),
    import     integer     NOT NULL REFERENCES market.history_imports,
    count      integer     NOT NULL CHECK (count > 0),
    feed       smallint    NOT NULL REFERENCES market.history_feeds,
    format     smallint    NOT NULL,
    channel    text        NOT NULL CHECK (channel IN ('trades', 'quotes', 'books')),
    ticker     text        NOT NULL,
    digest     bytea       NOT NULL CHECK (length(digest) = 32),
    body       bytea       NOT NULL,
    PRIMARY KEY (feed, channel, ticker, first_at)
) PARTITION BY RANGE (first_at);
CREATE INDEX history_recordings_at ON market.history_recordings (feed, channel, first_at);
COMMENT ON TABLE market.history_recordings IS
    'Blocks of one market in order of time, never overlapping; recio.research.history.blocks has the '
    'format, digest is the SHA-256 of what the block says.';

-- Partitions: a year of minutes and markets, a month of seconds and recordings. Made beside the table
-- and attached, so that whoever reads the others is not kept waiting.
CREATE FUNCTION market.prepare_history(kind text, first_at timestamptz, last_at timestamptz)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    is_year boolean := kind IN ('minutes', 'markets');
    step interval := CASE WHEN is_year THEN '1 year' ELSE '1 month' END;
    since timestamptz := date_trunc(CASE WHEN is_year THEN 'year' ELSE 'month' END, first_at);
    part text;
    made integer := 0;
BEGIN
    IF kind IS NULL OR kind NOT IN ('minutes', 'seconds', 'markets', 'recordings') THEN
        RAISE EXCEPTION 'expected minutes, seconds, markets or recordings, received %',
            quote_nullable(kind) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT coalesce(first_at >= '2009-01-01' AND last_at < '2100-01-01' AND first_at <= last_at, false)
    THEN
        RAISE EXCEPTION 'expected times from 2009 to 2099, received % to %', first_at, last_at
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('recio history partitions'));
    WHILE since <= last_at LOOP
        part := 'history_' || kind || '_' || to_char(since, CASE WHEN is_year THEN 'YYYY' ELSE 'YYYY_MM' END);
        IF to_regclass('market.' || part) IS NULL THEN
            EXECUTE format('CREATE TABLE market.%I (LIKE market.%I INCLUDING ALL)',
                part, 'history_' || kind);
            IF kind = 'recordings' THEN
                -- Compressed already: a second attempt would only cost time.
                EXECUTE format('ALTER TABLE market.%I ALTER COLUMN body SET STORAGE EXTERNAL', part);
            END IF;
            EXECUTE format('ALTER TABLE market.%I ATTACH PARTITION market.%I FOR VALUES FROM (%L) TO (%L)',
                'history_' || kind, part, since, since + step);
            made := made + 1;
        END IF;
        since := since + step;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION market.prepare_history IS
    'Makes the partitions that a stretch needs and returns how many; the tables belong to the owner.';
REVOKE ALL ON FUNCTION market.prepare_history FROM PUBLIC;
GRANT EXECUTE ON FUNCTION market.prepare_history TO recio_research;

GRANT USAGE ON SCHEMA market, ops TO recio_research;
GRANT SELECT ON ALL TABLES IN SCHEMA market TO recio_research;
GRANT INSERT ON market.history_feeds, market.history_imports, market.history_minutes,
    market.history_seconds, market.history_markets, market.history_recordings TO recio_research;
GRANT UPDATE ON market.history_imports TO recio_research;
GRANT UPDATE (strike_usd_e6, value_usd_e6, settled_at, result) ON market.history_markets
    TO recio_research;
-- A file that turns out to be wrong can be taken back; market facts are changed in no other way.
GRANT DELETE ON market.history_minutes, market.history_seconds, market.history_markets,
    market.history_recordings TO recio_research;
