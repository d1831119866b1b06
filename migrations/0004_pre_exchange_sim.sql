-- The paper exchange's own memory. No other service can read it, as nobody can look into the real
-- exchange: what members know, they learn over its API. Times are market times from the clock port.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'recio_owner') THEN
        CREATE ROLE recio_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'recio_exchange_simulator') THEN
        CREATE ROLE recio_exchange_simulator LOGIN;
    END IF;
END
$$;

CREATE SCHEMA exchange_sim AUTHORIZATION recio_owner;
SET LOCAL ROLE recio_owner;

CREATE TABLE exchange_sim.exchange (
    namespace       text        PRIMARY KEY,
    counter         bigint      NOT NULL CHECK (counter >= 0),
    market_at       timestamptz NOT NULL
);
COMMENT ON TABLE exchange_sim.exchange IS
    'One row: the counter that every identifier is derived from, and the market clock.';

CREATE TABLE exchange_sim.series (
    ticker          text        PRIMARY KEY,
    spec            jsonb       NOT NULL
);

CREATE TABLE exchange_sim.events (
    event_ticker      text        PRIMARY KEY,
    number            bigint      NOT NULL UNIQUE,
    exchange_index    integer     NOT NULL,
    fee_type          text        NOT NULL,
    fee_multiplier_e6 bigint      NOT NULL CHECK (fee_multiplier_e6 >= 0),
    spec              jsonb       NOT NULL,
    created_at        timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL
);

CREATE TABLE exchange_sim.markets (
    ticker            text        PRIMARY KEY,
    event_ticker      text        NOT NULL REFERENCES exchange_sim.events,
    number            bigint      NOT NULL UNIQUE,
    status            text        NOT NULL CHECK (status IN
        ('initialized', 'active', 'inactive', 'closed', 'determined', 'finalized')),
    spec              jsonb       NOT NULL,
    close_at          timestamptz NOT NULL,
    volume_e2         bigint      NOT NULL CHECK (volume_e2 >= 0),
    open_interest_e2  bigint      NOT NULL CHECK (open_interest_e2 >= 0),
    last_price_e4     integer CHECK (last_price_e4 BETWEEN 1 AND 9999),
    last_size_e2      bigint      NOT NULL,
    result            text        NOT NULL CHECK (result IN ('', 'yes', 'no', 'scalar')),
    expiration_value  text        NOT NULL,
    payout_cents      integer CHECK (payout_cents BETWEEN 0 AND 100),
    determined_at     timestamptz,
    settled_at        timestamptz,
    created_at        timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL
);

CREATE TABLE exchange_sim.accounts (
    account         text        PRIMARY KEY,
    user_id         uuid        NOT NULL UNIQUE,
    number          bigint      NOT NULL UNIQUE,
    tier            text        NOT NULL,
    opening_usd_e6  bigint      NOT NULL CHECK (opening_usd_e6 >= 0),
    created_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL
);

CREATE TABLE exchange_sim.balances (
    account         text        NOT NULL REFERENCES exchange_sim.accounts,
    exchange_index  integer     NOT NULL,
    cash_usd_e6     bigint      NOT NULL,
    PRIMARY KEY (account, exchange_index)
);

CREATE TABLE exchange_sim.api_keys (
    key_id      uuid        PRIMARY KEY,
    account     text        NOT NULL REFERENCES exchange_sim.accounts,
    name        text        NOT NULL,
    public_pem  text        NOT NULL,
    scopes      text        NOT NULL,
    created_at  timestamptz NOT NULL
);
COMMENT ON COLUMN exchange_sim.api_keys.public_pem IS
    'Only the public half: the exchange never keeps a private key.';

CREATE TABLE exchange_sim.order_groups (
    group_id        uuid        PRIMARY KEY,
    number          bigint      NOT NULL UNIQUE,
    account         text        NOT NULL REFERENCES exchange_sim.accounts,
    exchange_index  integer     NOT NULL,
    limit_e2        bigint CHECK (limit_e2 > 0),
    is_triggered    boolean     NOT NULL,
    matched         jsonb       NOT NULL
);

CREATE TABLE exchange_sim.orders (
    order_id         uuid        PRIMARY KEY,
    number           bigint      NOT NULL UNIQUE,
    queue            bigint      NOT NULL,
    account          text        NOT NULL REFERENCES exchange_sim.accounts,
    client_order_id  text        NOT NULL,
    ticker           text        NOT NULL REFERENCES exchange_sim.markets,
    is_bid           boolean     NOT NULL,
    price_e4         integer     NOT NULL CHECK (price_e4 BETWEEN 1 AND 9999),
    initial_e2       bigint      NOT NULL CHECK (initial_e2 > 0),
    remaining_e2     bigint      NOT NULL CHECK (remaining_e2 >= 0),
    filled_e2        bigint      NOT NULL CHECK (filled_e2 >= 0),
    status           text        NOT NULL CHECK (status IN ('resting', 'canceled', 'executed')),
    reason           text        NOT NULL,
    flags            jsonb       NOT NULL,
    exchange_index   integer     NOT NULL,
    group_id         text        NOT NULL,
    expires_at       timestamptz,
    taker_cost_e6    bigint      NOT NULL,
    maker_cost_e6    bigint      NOT NULL,
    taker_fees_e6    bigint      NOT NULL CHECK (taker_fees_e6 >= 0),
    maker_fees_e6    bigint      NOT NULL CHECK (maker_fees_e6 >= 0),
    accumulator_e6   bigint      NOT NULL CHECK (accumulator_e6 >= 0),
    created_at       timestamptz NOT NULL,
    changed_at       timestamptz NOT NULL,
    CHECK (filled_e2 + remaining_e2 <= initial_e2),
    CHECK (status = 'resting' OR remaining_e2 = 0)
);
CREATE INDEX orders_account ON exchange_sim.orders (account, number);

CREATE TABLE exchange_sim.fills (
    number           bigint      PRIMARY KEY,
    trade_id         uuid        NOT NULL,
    order_id         uuid        NOT NULL REFERENCES exchange_sim.orders,
    client_order_id  text        NOT NULL,
    account          text        NOT NULL REFERENCES exchange_sim.accounts,
    ticker           text        NOT NULL,
    exchange_index   integer     NOT NULL,
    is_bid           boolean     NOT NULL,
    is_taker         boolean     NOT NULL,
    price_e4         integer     NOT NULL CHECK (price_e4 BETWEEN 1 AND 9999),
    qty_e2           bigint      NOT NULL CHECK (qty_e2 > 0),
    fee_e6           bigint      NOT NULL CHECK (fee_e6 >= 0),
    revenue_e6       bigint      NOT NULL,
    position_e2      bigint      NOT NULL,
    filled_at        timestamptz NOT NULL,
    UNIQUE (trade_id, account)
);

CREATE TABLE exchange_sim.positions (
    account         text        NOT NULL REFERENCES exchange_sim.accounts,
    ticker          text        NOT NULL REFERENCES exchange_sim.markets,
    exchange_index  integer     NOT NULL,
    position_e2     bigint      NOT NULL,
    cost_e6         bigint      NOT NULL CHECK (cost_e6 >= 0),
    traded_e6       bigint      NOT NULL,
    realized_e6     bigint      NOT NULL,
    fees_e6         bigint      NOT NULL,
    open_fees_e6    bigint      NOT NULL,
    volume_e2       bigint      NOT NULL,
    is_settled      boolean     NOT NULL,
    changed_at      timestamptz NOT NULL,
    PRIMARY KEY (account, ticker)
);

CREATE TABLE exchange_sim.settlements (
    number          bigint      PRIMARY KEY,
    account         text        NOT NULL REFERENCES exchange_sim.accounts,
    ticker          text        NOT NULL REFERENCES exchange_sim.markets,
    event_ticker    text        NOT NULL,
    exchange_index  integer     NOT NULL,
    result          text        NOT NULL,
    yes_e2          bigint      NOT NULL CHECK (yes_e2 >= 0),
    yes_cost_e6     bigint      NOT NULL,
    no_e2           bigint      NOT NULL CHECK (no_e2 >= 0),
    no_cost_e6      bigint      NOT NULL,
    revenue_cents   bigint      NOT NULL CHECK (revenue_cents >= 0),
    payout_cents    integer     NOT NULL CHECK (payout_cents BETWEEN 0 AND 100),
    fee_e6          bigint      NOT NULL,
    settled_at      timestamptz NOT NULL,
    UNIQUE (account, ticker)
);

CREATE TABLE exchange_sim.transfers (
    transfer_id     uuid        PRIMARY KEY,
    number          bigint      NOT NULL UNIQUE,
    account         text        NOT NULL REFERENCES exchange_sim.accounts,
    source          integer     NOT NULL,
    destination     integer     NOT NULL,
    amount_e6       bigint      NOT NULL CHECK (amount_e6 > 0),
    moved_at        timestamptz NOT NULL
);

CREATE TABLE exchange_sim.trades (
    number          bigint      PRIMARY KEY,
    trade_id        uuid        NOT NULL UNIQUE,
    ticker          text        NOT NULL,
    price_e4        integer     NOT NULL CHECK (price_e4 BETWEEN 1 AND 9999),
    qty_e2          bigint      NOT NULL CHECK (qty_e2 > 0),
    is_taker_bid    boolean     NOT NULL,
    traded_at       timestamptz NOT NULL
);
COMMENT ON TABLE exchange_sim.trades IS 'Recent public trades; older ones are removed.';

GRANT USAGE ON SCHEMA exchange_sim TO recio_exchange_simulator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA exchange_sim
    TO recio_exchange_simulator;
