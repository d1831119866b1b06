-- Market history and the operations tables. Times are domain times from the clock port, never now().

SET LOCAL ROLE recio_owner;

CREATE TABLE market.prices (
    environment   text        NOT NULL,
    symbol        text        NOT NULL,
    at            timestamptz NOT NULL,
    index_usd_e6  bigint CHECK (index_usd_e6 > 0),
    spot_usd_e6   bigint CHECK (spot_usd_e6 > 0),
    PRIMARY KEY (environment, symbol, at),
    CHECK (index_usd_e6 IS NOT NULL OR spot_usd_e6 IS NOT NULL)
) PARTITION BY RANGE (at);
CREATE TABLE market.prices_rest PARTITION OF market.prices DEFAULT;
COMMENT ON TABLE market.prices IS 'One row a second that had a price; no forward fill.';

CREATE TABLE market.minutes (
    environment   text        NOT NULL,
    symbol        text        NOT NULL,
    at            timestamptz NOT NULL,
    close_usd_e6  bigint      NOT NULL CHECK (close_usd_e6 > 0),
    source        text        NOT NULL,
    PRIMARY KEY (environment, symbol, at)
);
COMMENT ON COLUMN market.minutes.at IS 'End of the minute.';

CREATE TABLE market.events (
    environment    text        NOT NULL,
    event_ticker   text        NOT NULL,
    series_ticker  text        NOT NULL,
    symbol         text        NOT NULL,
    title          text        NOT NULL,
    open_at        timestamptz NOT NULL,
    close_at       timestamptz NOT NULL CHECK (close_at > open_at),
    changed_at     timestamptz NOT NULL,
    PRIMARY KEY (environment, event_ticker)
);

CREATE TABLE market.markets (
    environment              text        NOT NULL,
    ticker                   text        NOT NULL,
    event_ticker             text        NOT NULL,
    strike_usd_e6            bigint,
    strike_type              text        NOT NULL,
    status                   text        NOT NULL,
    price_ranges             jsonb       NOT NULL,
    fee_type                 text        NOT NULL,
    fee_multiplier_e6        bigint      NOT NULL CHECK (fee_multiplier_e6 >= 0),
    exchange_index           integer,
    result                   text        NOT NULL DEFAULT '',
    settlement_value_usd_e6  bigint,
    changed_at               timestamptz NOT NULL,
    PRIMARY KEY (environment, ticker),
    FOREIGN KEY (environment, event_ticker) REFERENCES market.events
);
CREATE INDEX markets_event ON market.markets (environment, event_ticker);

CREATE TABLE market.book_tops (
    environment     text        NOT NULL,
    ticker          text        NOT NULL,
    at              timestamptz NOT NULL,
    yes_bid_e4      integer CHECK (yes_bid_e4 BETWEEN 1 AND 9999),
    yes_bid_qty_e2  bigint      NOT NULL,
    yes_ask_e4      integer CHECK (yes_ask_e4 BETWEEN 1 AND 9999),
    yes_ask_qty_e2  bigint      NOT NULL,
    volume_e2       bigint,
    PRIMARY KEY (environment, ticker, at)
) PARTITION BY RANGE (at);
CREATE TABLE market.book_tops_rest PARTITION OF market.book_tops DEFAULT;

CREATE UNLOGGED TABLE market.snapshot_latest (
    environment   text        NOT NULL,
    event_ticker  text        NOT NULL,
    generation    bigint      NOT NULL,
    at            timestamptz NOT NULL,
    close_at      timestamptz NOT NULL,
    body          bytea       NOT NULL,
    PRIMARY KEY (environment, event_ticker)
);
COMMENT ON TABLE market.snapshot_latest IS
    'The newest snapshot of each event as MessagePack: what exits read when the bus is gone.';

CREATE TABLE ops.environments (
    environment  text        PRIMARY KEY,
    t0_us        bigint      NOT NULL,
    m0_ns        bigint      NOT NULL,
    speed        integer     NOT NULL CHECK (speed BETWEEN 1 AND 20),
    boot_id      text        NOT NULL,
    market_at    timestamptz NOT NULL
);
COMMENT ON TABLE ops.environments IS
    'Market time = t0 + (CLOCK_MONOTONIC - m0) * speed, shared by every process of the environment; '
    'market_at is where it stood last, from where a new start goes on.';

CREATE TABLE ops.users (
    name           text        PRIMARY KEY,
    password_hash  text        NOT NULL,
    changed_at     timestamptz NOT NULL
);
CREATE TABLE ops.sessions (
    token_hash  text        PRIMARY KEY,
    name        text        NOT NULL REFERENCES ops.users ON DELETE CASCADE,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE TABLE ops.health (
    service       text        NOT NULL,
    account       text        NOT NULL DEFAULT '',
    is_ready      boolean     NOT NULL,
    reason        text        NOT NULL,
    level         text        NOT NULL CHECK (level IN ('ok', 'warning', 'critical', 'unknown')),
    cpu_permille  integer,
    memory_bytes  bigint,
    changed_at    timestamptz NOT NULL,
    PRIMARY KEY (service, account)
);
CREATE TABLE ops.breakers (
    name        text        PRIMARY KEY,
    is_open     boolean     NOT NULL,
    root_cause  text        NOT NULL,
    reason      text        NOT NULL,
    changed_at  timestamptz NOT NULL
);

-- A hint for whoever shows the table: payload {"table","account","id"}; see db_poller.
CREATE FUNCTION ops.notify_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    row_json jsonb := to_jsonb(NEW);
BEGIN
    PERFORM pg_notify('changes', jsonb_build_object(
        'table', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME,
        'account', row_json ->> 'account',
        'id', row_json ->> TG_ARGV[0])::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER health_change AFTER INSERT OR UPDATE ON ops.health
    FOR EACH ROW EXECUTE FUNCTION ops.notify_change('service');
CREATE TRIGGER breakers_change AFTER INSERT OR UPDATE ON ops.breakers
    FOR EACH ROW EXECUTE FUNCTION ops.notify_change('name');

GRANT SELECT, INSERT ON market.prices, market.minutes TO recio_btc_price_watchdog;
GRANT SELECT, INSERT, UPDATE ON market.events, market.markets TO recio_kalshi_api_watchdog;
GRANT SELECT, INSERT ON market.book_tops TO recio_kalshi_api_watchdog;
GRANT SELECT, INSERT, UPDATE, DELETE ON market.snapshot_latest
    TO recio_unified_production_coordinator;
GRANT SELECT ON ALL TABLES IN SCHEMA market TO recio_account, recio_main_app,
    recio_unified_production_coordinator, recio_system_monitor;
GRANT SELECT ON ops.environments TO recio_account, recio_exchange_simulator,
    recio_btc_price_watchdog, recio_kalshi_api_watchdog, recio_unified_production_coordinator,
    recio_db_poller, recio_system_monitor, recio_cascading_failure_detector, recio_main_app,
    recio_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.users, ops.sessions TO recio_main_app;
GRANT SELECT, INSERT, UPDATE ON ops.health TO recio_system_monitor;
GRANT SELECT, INSERT, UPDATE ON ops.breakers TO recio_cascading_failure_detector;
GRANT SELECT ON ops.health, ops.breakers TO recio_main_app, recio_cascading_failure_detector,
    recio_operator;
