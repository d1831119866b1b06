-- The money tables. Invariants that PostgreSQL itself keeps:
--   * states move only along the transition tables; every change of state leaves an audit row;
--   * ledger rows are append-only and every transaction's postings sum to zero;
--   * an exchange fact (fill, settlement) is booked once, by the exchange's own id;
--   * an account's login sees and writes that account's rows only (forced row-level security);
--   * nothing is ever deleted.
-- Times come from the clock port and ids are functions of their inputs: no DEFAULT now(), no
-- identity columns, so that a run can be simulated and repeated to the byte.

SET LOCAL ROLE recio_owner;

CREATE TYPE trading.mode AS ENUM ('paper', 'shadow', 'demo', 'prod');
CREATE TYPE trading.switch_state AS ENUM ('Active', 'NoNewEntries', 'ReduceOnly', 'Halted', 'Flatten');
CREATE TYPE trading.purpose AS ENUM ('entry', 'exit');
CREATE TYPE trading.side AS ENUM ('yes', 'no');
CREATE TYPE trading.book_side AS ENUM ('bid', 'ask');
CREATE TYPE trading.intent_state AS ENUM ('proposed', 'accepted', 'refused');
CREATE TYPE trading.order_state AS ENUM (
    'created', 'submitted', 'unknown', 'resting', 'partially_filled', 'executed', 'canceled',
    'rejected', 'expired_unsent');
CREATE TYPE trading.trade_state AS ENUM (
    'created', 'entering', 'open', 'closing', 'closed', 'expired', 'settled', 'abandoned');

-- The account of the login that runs the statement; NULL for every other role.
CREATE FUNCTION trading.login_account() RETURNS text LANGUAGE sql STABLE
    SET search_path = pg_catalog
    AS $$ SELECT CASE WHEN starts_with(session_user::text, 'recio_account_')
                      THEN substr(session_user::text, 15) END $$;

CREATE TABLE trading.accounts (
    account            text PRIMARY KEY CHECK (account ~ '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$'),
    environment        text         NOT NULL,
    mode               trading.mode NOT NULL,
    key_hash           text UNIQUE,
    last_trade_number  integer      NOT NULL DEFAULT 0,
    created_at         timestamptz  NOT NULL,
    retired_at         timestamptz
);
COMMENT ON COLUMN trading.accounts.key_hash IS
    'SHA-256 of the API key id: two accounts with one key would double every limit.';

CREATE TABLE trading.account_config (
    account      text        NOT NULL REFERENCES trading.accounts,
    generation   integer     NOT NULL CHECK (generation > 0),
    document     jsonb       NOT NULL,
    applied_at   timestamptz NOT NULL,
    PRIMARY KEY (account, generation)
);
CREATE TABLE trading.account_settings (
    account              text        NOT NULL REFERENCES trading.accounts,
    generation           integer     NOT NULL CHECK (generation > 0),
    resource_generation  integer     NOT NULL,
    author               text        NOT NULL,
    overrides            jsonb       NOT NULL,
    changed_at           timestamptz NOT NULL,
    PRIMARY KEY (account, generation)
);
COMMENT ON TABLE trading.account_settings IS
    'What a person changed on top of the resource: {"strategy": {...}, "risk": {...}}; newest counts.';

CREATE TABLE trading.fleet (
    name        text PRIMARY KEY CHECK (name = 'default'),
    document    jsonb       NOT NULL,
    changed_at  timestamptz NOT NULL
);

CREATE TABLE trading.switches (
    scope       text                 NOT NULL,
    source      text                 NOT NULL,
    state       trading.switch_state NOT NULL,
    reason      text                 NOT NULL,
    author      text                 NOT NULL,
    changed_at  timestamptz          NOT NULL,
    version     integer              NOT NULL DEFAULT 1,
    PRIMARY KEY (scope, source)
);
COMMENT ON TABLE trading.switches IS
    'One latched row a source; scope is an account or * for all; the strictest row wins.';

CREATE TABLE trading.automation (
    account      text PRIMARY KEY REFERENCES trading.accounts,
    status       text        NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'PAUSED', 'DISABLED')),
    body         jsonb       NOT NULL,
    changed_at   timestamptz NOT NULL
);
CREATE TABLE trading.decisions (
    account      text        NOT NULL REFERENCES trading.accounts,
    decision_id  uuid        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('entry', 'stop')),
    event_ticker text        NOT NULL,
    generation   bigint      NOT NULL,
    at           timestamptz NOT NULL,
    body         bytea       NOT NULL,
    PRIMARY KEY (account, decision_id)
);
CREATE INDEX decisions_at ON trading.decisions (account, at);
COMMENT ON COLUMN trading.decisions.body IS
    'MessagePack: the inputs with their ages, and for every strike the first gate it failed.';

CREATE TABLE trading.intents (
    intent_id             uuid PRIMARY KEY,
    account               text                 NOT NULL REFERENCES trading.accounts,
    purpose               trading.purpose      NOT NULL,
    source                text                 NOT NULL,
    market_ticker         text                 NOT NULL,
    event_ticker          text                 NOT NULL,
    side                  trading.side         NOT NULL,
    qty_e2                bigint               NOT NULL CHECK (qty_e2 > 0),
    limit_price_e4        integer              NOT NULL CHECK (limit_price_e4 BETWEEN 1 AND 9999),
    at                    timestamptz          NOT NULL,
    valid_until           timestamptz          NOT NULL,
    trade_id              uuid,
    snapshot_generation   bigint,
    decision_id           uuid,
    p_e6                  integer CHECK (p_e6 BETWEEN 0 AND 1000000),
    edge_e4               integer,
    symbol_price_usd_e6   bigint,
    momentum_bucket       smallint,
    price_at              timestamptz,
    book_at               timestamptz,
    reason                text                 NOT NULL,
    state                 trading.intent_state NOT NULL,
    refusal               text                 NOT NULL DEFAULT '',
    changed_at            timestamptz          NOT NULL,
    version               integer              NOT NULL DEFAULT 1,
    CHECK ((state = 'refused') = (refusal <> '')),
    CHECK (purpose = 'entry' OR trade_id IS NOT NULL)
);
CREATE INDEX intents_proposed ON trading.intents (account, at) WHERE state = 'proposed';
CREATE INDEX intents_account ON trading.intents (account, at);

CREATE TABLE trading.trades (
    trade_id               uuid PRIMARY KEY,
    account                text                NOT NULL REFERENCES trading.accounts,
    number                 integer             NOT NULL,
    state                  trading.trade_state NOT NULL,
    source                 text                NOT NULL,
    strategy               text                NOT NULL,
    symbol                 text                NOT NULL,
    event_ticker           text                NOT NULL,
    market_ticker          text                NOT NULL,
    strike_usd_e6          bigint,
    side                   trading.side        NOT NULL,
    close_at               timestamptz         NOT NULL,
    wanted_qty_e2          bigint              NOT NULL CHECK (wanted_qty_e2 > 0),
    filled_qty_e2          bigint              NOT NULL DEFAULT 0 CHECK (filled_qty_e2 >= 0),
    exited_qty_e2          bigint              NOT NULL DEFAULT 0 CHECK (exited_qty_e2 >= 0),
    entry_cost_usd_e6      bigint              NOT NULL DEFAULT 0,
    exit_proceeds_usd_e6   bigint              NOT NULL DEFAULT 0,
    fees_usd_e6            bigint              NOT NULL DEFAULT 0,
    settlement_usd_e6      bigint,
    pnl_usd_e6             bigint,
    p_entry_e6             integer,
    symbol_open_usd_e6     bigint,
    symbol_close_usd_e6    bigint,
    momentum_bucket        smallint,
    close_reason           text                NOT NULL DEFAULT '',
    opened_at              timestamptz,
    ended_at               timestamptz,
    created_at             timestamptz         NOT NULL,
    changed_at             timestamptz         NOT NULL,
    version                integer             NOT NULL DEFAULT 1,
    UNIQUE (account, number),
    CHECK (exited_qty_e2 <= filled_qty_e2),
    CHECK (pnl_usd_e6 IS NOT NULL OR state NOT IN ('closed', 'settled'))
);
CREATE INDEX trades_live ON trading.trades (account, market_ticker)
    WHERE state NOT IN ('closed', 'settled', 'abandoned');
CREATE INDEX trades_created ON trading.trades (account, created_at);

CREATE TABLE trading.orders (
    order_id           uuid PRIMARY KEY,
    trade_id           uuid                NOT NULL REFERENCES trading.trades,
    intent_id          uuid                NOT NULL REFERENCES trading.intents,
    account            text                NOT NULL REFERENCES trading.accounts,
    attempt            integer             NOT NULL CHECK (attempt > 0),
    market_ticker      text                NOT NULL,
    event_ticker       text                NOT NULL,
    purpose            trading.purpose     NOT NULL,
    book_side          trading.book_side   NOT NULL,
    yes_price_e4       integer             NOT NULL CHECK (yes_price_e4 BETWEEN 1 AND 9999),
    qty_e2             bigint              NOT NULL CHECK (qty_e2 > 0),
    time_in_force      text                NOT NULL,
    is_reduce_only     boolean             NOT NULL,
    exchange_index     integer,
    order_group_id     text,
    state              trading.order_state NOT NULL,
    exchange_order_id  text,
    filled_qty_e2      bigint              NOT NULL DEFAULT 0,
    booked_qty_e2      bigint              NOT NULL DEFAULT 0,
    reserved_usd_e6    bigint              NOT NULL CHECK (reserved_usd_e6 >= 0),
    epoch              bigint,
    claimed_at         timestamptz,
    claimed_wall_at    timestamptz,
    valid_until        timestamptz         NOT NULL,
    reason             text                NOT NULL DEFAULT '',
    created_at         timestamptz         NOT NULL,
    changed_at         timestamptz         NOT NULL,
    version            integer             NOT NULL DEFAULT 1,
    UNIQUE (intent_id, attempt),
    UNIQUE (account, exchange_order_id),
    CHECK (filled_qty_e2 BETWEEN 0 AND qty_e2),
    CHECK (booked_qty_e2 BETWEEN 0 AND filled_qty_e2)
);
COMMENT ON COLUMN trading.orders.claimed_at IS
    'When the executor took it, on the market''s clock, as the exchange''s own times are; '
    'claimed_wall_at is when its headers were signed, which bounds how late it can arrive.';
COMMENT ON COLUMN trading.orders.filled_qty_e2 IS
    'What the exchange says is filled; booked_qty_e2 is what its fills have been booked for. The '
    'difference still counts against the limits at its worst case.';
CREATE INDEX orders_live ON trading.orders (account)
    WHERE state NOT IN ('executed', 'canceled', 'rejected', 'expired_unsent')
       OR booked_qty_e2 < filled_qty_e2;
CREATE INDEX orders_trade ON trading.orders (trade_id);
CREATE INDEX orders_created ON trading.orders (account, created_at);
CREATE INDEX orders_created_by_all ON trading.orders (created_at);
CREATE INDEX orders_changed ON trading.orders (account, changed_at);

CREATE TABLE trading.order_events (
    account    text        NOT NULL REFERENCES trading.accounts,
    order_id   uuid        NOT NULL REFERENCES trading.orders,
    seq        integer     NOT NULL,
    kind       text        NOT NULL,
    epoch      bigint,
    at         timestamptz NOT NULL,
    wall_at    timestamptz NOT NULL,
    body       jsonb       NOT NULL,
    PRIMARY KEY (order_id, seq)
);
COMMENT ON TABLE trading.order_events IS 'What the executor did and was told, in order; append-only.';

CREATE TABLE trading.order_transitions (
    old trading.order_state NOT NULL, new trading.order_state NOT NULL, PRIMARY KEY (old, new));
INSERT INTO trading.order_transitions VALUES
    ('created', 'submitted'), ('created', 'expired_unsent'),
    ('submitted', 'unknown'), ('submitted', 'resting'), ('submitted', 'partially_filled'),
    ('submitted', 'executed'), ('submitted', 'canceled'), ('submitted', 'rejected'),
    ('unknown', 'resting'), ('unknown', 'partially_filled'), ('unknown', 'executed'),
    ('unknown', 'canceled'), ('unknown', 'rejected'), ('unknown', 'submitted'),
    ('resting', 'partially_filled'), ('resting', 'executed'), ('resting', 'canceled'),
    ('partially_filled', 'executed'), ('partially_filled', 'canceled'),
    ('canceled', 'executed'),
    ('rejected', 'resting'), ('rejected', 'partially_filled'), ('rejected', 'executed'),
    ('rejected', 'canceled');
CREATE TABLE trading.trade_transitions (
    old trading.trade_state NOT NULL, new trading.trade_state NOT NULL, PRIMARY KEY (old, new));
INSERT INTO trading.trade_transitions VALUES
    ('created', 'entering'), ('created', 'open'), ('created', 'abandoned'),
    ('entering', 'open'), ('entering', 'abandoned'),
    ('abandoned', 'open'),
    ('open', 'closing'), ('open', 'expired'), ('open', 'closed'), ('open', 'settled'),
    ('closing', 'open'), ('closing', 'closed'), ('closing', 'expired'), ('closing', 'settled'),
    ('expired', 'settled'), ('expired', 'closed');

CREATE TABLE trading.stops (
    account     text        NOT NULL REFERENCES trading.accounts,
    trade_id    uuid PRIMARY KEY REFERENCES trading.trades,
    body        jsonb       NOT NULL,
    changed_at  timestamptz NOT NULL
);

CREATE TABLE trading.fills (
    account            text              NOT NULL REFERENCES trading.accounts,
    fill_id            text              NOT NULL,
    exchange_order_id  text              NOT NULL,
    order_id           uuid REFERENCES trading.orders,
    trade_id           uuid REFERENCES trading.trades,
    market_ticker      text              NOT NULL,
    event_ticker       text              NOT NULL,
    book_side          trading.book_side NOT NULL,
    yes_price_e4       integer           NOT NULL CHECK (yes_price_e4 BETWEEN 0 AND 10000),
    qty_e2             bigint            NOT NULL CHECK (qty_e2 > 0),
    fee_usd_e6         bigint            NOT NULL,
    is_taker           boolean           NOT NULL,
    at                 timestamptz       NOT NULL,
    seen_at            timestamptz       NOT NULL,
    PRIMARY KEY (account, fill_id)
);
CREATE INDEX fills_order ON trading.fills (order_id);
CREATE INDEX fills_trade ON trading.fills (trade_id);
CREATE INDEX fills_at ON trading.fills (account, at);

CREATE TABLE trading.positions (
    account          text        NOT NULL REFERENCES trading.accounts,
    market_ticker    text        NOT NULL,
    event_ticker     text        NOT NULL,
    qty_e2           bigint      NOT NULL,
    cost_usd_e6      bigint      NOT NULL CHECK (cost_usd_e6 >= 0),
    realised_usd_e6  bigint      NOT NULL,
    fees_usd_e6      bigint      NOT NULL,
    changed_at       timestamptz NOT NULL,
    PRIMARY KEY (account, market_ticker),
    CHECK (qty_e2 <> 0 OR cost_usd_e6 = 0)
);
COMMENT ON TABLE trading.positions IS 'Sum of booked fills and settlements: + YES, - NO.';
CREATE INDEX positions_open ON trading.positions (account) WHERE qty_e2 <> 0;

CREATE TABLE trading.settlements (
    account          text        NOT NULL REFERENCES trading.accounts,
    market_ticker    text        NOT NULL,
    event_ticker     text        NOT NULL,
    result           text        NOT NULL,
    yes_qty_e2       bigint      NOT NULL,
    no_qty_e2        bigint      NOT NULL,
    revenue_usd_e6   bigint      NOT NULL,
    fee_usd_e6       bigint      NOT NULL,
    settled_at       timestamptz NOT NULL,
    seen_at          timestamptz NOT NULL,
    PRIMARY KEY (account, market_ticker)
);

CREATE TABLE trading.ledger_transactions (
    transaction_id  uuid PRIMARY KEY,
    account         text        NOT NULL REFERENCES trading.accounts,
    kind            text        NOT NULL CHECK (kind IN ('opening', 'fill', 'settlement', 'transfer', 'correction')),
    fact_id         text        NOT NULL,
    note            text        NOT NULL DEFAULT '',
    at              timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL,
    UNIQUE (account, kind, fact_id),
    UNIQUE (transaction_id, account, at)
);
CREATE INDEX ledger_transactions_at ON trading.ledger_transactions (account, at);
CREATE TABLE trading.ledger_postings (
    transaction_id  uuid        NOT NULL,
    line            smallint    NOT NULL,
    account         text        NOT NULL,
    book            text        NOT NULL CHECK (book IN ('cash', 'position', 'fees', 'result', 'capital', 'suspense')),
    market_ticker   text        NOT NULL DEFAULT '',
    amount_usd_e6   bigint      NOT NULL CHECK (amount_usd_e6 <> 0),
    at              timestamptz NOT NULL,
    PRIMARY KEY (transaction_id, line),
    CONSTRAINT postings_of_their_transaction FOREIGN KEY (transaction_id, account, at)
        REFERENCES trading.ledger_transactions (transaction_id, account, at)
);
-- The day's result, of one account and of all: asked for at every entry.
CREATE INDEX postings_results ON trading.ledger_postings (account, at) INCLUDE (amount_usd_e6)
    WHERE book IN ('result', 'fees');
CREATE INDEX postings_results_of_all ON trading.ledger_postings (at) INCLUDE (amount_usd_e6)
    WHERE book IN ('result', 'fees');
CREATE TABLE trading.totals (
    account              text PRIMARY KEY REFERENCES trading.accounts,
    cash_usd_e6          bigint      NOT NULL,
    equity_usd_e6        bigint      NOT NULL,
    equity_high_usd_e6   bigint      NOT NULL CHECK (equity_high_usd_e6 >= equity_usd_e6),
    changed_at           timestamptz NOT NULL
);
COMMENT ON TABLE trading.totals IS
    'Cash and equity at cost after the last booked fact: the ledger''s sums, kept with it in one '
    'transaction so that the gate need not add up the past.';

CREATE TABLE trading.balances (
    account           text        NOT NULL REFERENCES trading.accounts,
    at                timestamptz NOT NULL,
    exchange_usd_e6   bigint      NOT NULL,
    ledger_usd_e6     bigint      NOT NULL,
    as_of             timestamptz NOT NULL,
    PRIMARY KEY (account, at)
);
COMMENT ON TABLE trading.balances IS
    'The last comparison of cash with the exchange in a quiet moment, one row a change.';

CREATE TABLE trading.leases (
    account         text        NOT NULL REFERENCES trading.accounts,
    service         text        NOT NULL,
    epoch           bigint      NOT NULL,
    holder          uuid        NOT NULL,
    backend_pid     integer     NOT NULL,
    renewed_wall_at timestamptz NOT NULL,
    PRIMARY KEY (account, service)
);

CREATE TABLE trading.audit (
    subject     text        NOT NULL,
    subject_id  text        NOT NULL,
    version     integer     NOT NULL,
    account     text        NOT NULL,
    old_state   text,
    new_state   text        NOT NULL,
    note        text        NOT NULL,
    author      text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (subject, subject_id, version)
);

-- Rules ------------------------------------------------------------------------------------------

CREATE FUNCTION trading.check_order_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT EXISTS (
        SELECT FROM trading.order_transitions t WHERE t.old = OLD.state AND t.new = NEW.state) THEN
        RAISE EXCEPTION 'order %: no transition from % to %', OLD.order_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_transitions';
    END IF;
    IF NEW.filled_qty_e2 < OLD.filled_qty_e2 OR NEW.booked_qty_e2 < OLD.booked_qty_e2 THEN
        RAISE EXCEPTION 'order %: filled quantity cannot fall from % to %',
            OLD.order_id, OLD.filled_qty_e2, NEW.filled_qty_e2
            USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_filled_monotone';
    END IF;
    IF NEW.epoch < OLD.epoch THEN
        RAISE EXCEPTION 'order %: epoch % is older than %', OLD.order_id, NEW.epoch, OLD.epoch
            USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_epoch_monotone';
    END IF;
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER orders_check BEFORE UPDATE ON trading.orders
    FOR EACH ROW EXECUTE FUNCTION trading.check_order_update();

CREATE FUNCTION trading.check_trade_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT EXISTS (
        SELECT FROM trading.trade_transitions t WHERE t.old = OLD.state AND t.new = NEW.state) THEN
        RAISE EXCEPTION 'trade %: no transition from % to %', OLD.trade_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'trade_transitions';
    END IF;
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER trades_check BEFORE UPDATE ON trading.trades
    FOR EACH ROW EXECUTE FUNCTION trading.check_trade_update();

CREATE FUNCTION trading.check_intent_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF OLD.state <> 'proposed' THEN
        RAISE EXCEPTION 'intent %: already %', OLD.intent_id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'intents_decided_once';
    END IF;
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER intents_check BEFORE UPDATE ON trading.intents
    FOR EACH ROW EXECUTE FUNCTION trading.check_intent_update();

CREATE FUNCTION trading.bump_version() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER switches_version BEFORE UPDATE ON trading.switches
    FOR EACH ROW EXECUTE FUNCTION trading.bump_version();

-- One audit row for each change of state. The author is the login; the owner writes the row, so
-- that no service can write audit rows of its own.
CREATE FUNCTION trading.audit_state() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    new_row jsonb := to_jsonb(NEW);
    old_state text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        old_state := to_jsonb(OLD) ->> 'state';
        IF old_state = new_row ->> 'state'
           AND (TG_TABLE_NAME <> 'switches' OR to_jsonb(OLD) ->> 'reason' = new_row ->> 'reason') THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO trading.audit VALUES (
        TG_TABLE_NAME,
        CASE TG_TABLE_NAME
            WHEN 'switches' THEN (new_row ->> 'scope') || ' ' || (new_row ->> 'source')
            ELSE new_row ->> TG_ARGV[0] END,
        (new_row ->> 'version')::integer,
        coalesce(new_row ->> 'account', new_row ->> 'scope'),
        old_state, new_row ->> 'state',
        coalesce(new_row ->> 'refusal', new_row ->> 'close_reason', new_row ->> 'reason', ''),
        coalesce(new_row ->> 'author', session_user::text),
        (new_row ->> 'changed_at')::timestamptz);
    RETURN NULL;
END
$$;
CREATE TRIGGER intents_audit AFTER INSERT OR UPDATE ON trading.intents
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state('intent_id');
CREATE TRIGGER trades_audit AFTER INSERT OR UPDATE ON trading.trades
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state('trade_id');
CREATE TRIGGER orders_audit AFTER INSERT OR UPDATE ON trading.orders
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state('order_id');
CREATE TRIGGER switches_audit AFTER INSERT OR UPDATE ON trading.switches
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state('source');

CREATE FUNCTION trading.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'check_violation', CONSTRAINT = 'append_only';
END
$$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger_transactions', 'ledger_postings', 'fills', 'settlements',
                                'order_events', 'audit', 'account_config', 'account_settings'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.%I '
                       'FOR EACH ROW EXECUTE FUNCTION trading.refuse_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['intents', 'trades', 'orders', 'switches', 'accounts'] LOOP
        EXECUTE format('CREATE TRIGGER never_deleted BEFORE DELETE ON trading.%I '
                       'FOR EACH ROW EXECUTE FUNCTION trading.refuse_change()', name);
    END LOOP;
END
$$;

CREATE FUNCTION trading.check_balanced() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    total numeric;
BEGIN
    SELECT sum(amount_usd_e6) INTO total
      FROM trading.ledger_postings WHERE transaction_id = NEW.transaction_id;
    IF total <> 0 THEN
        RAISE EXCEPTION 'ledger transaction %: postings sum to %, expected 0', NEW.transaction_id, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_balance';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT ON trading.ledger_postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trading.check_balanced();

-- Hints: payload "account id" to the services, and one JSON to the change feed.
CREATE FUNCTION trading.notify_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    new_row jsonb := to_jsonb(NEW);
    account text := coalesce(new_row ->> 'account', new_row ->> 'scope');
BEGIN
    PERFORM pg_notify(TG_ARGV[0], account || ' ' || coalesce(new_row ->> TG_ARGV[1], ''));
    PERFORM pg_notify('changes', jsonb_build_object(
        'table', 'trading.' || TG_TABLE_NAME, 'account', account,
        'id', new_row ->> TG_ARGV[1])::text);
    RETURN NULL;
END
$$;
DO $$
DECLARE
    entry text[];
BEGIN
    FOREACH entry SLICE 1 IN ARRAY ARRAY[
        ['intents', 'intents', 'intent_id'], ['orders', 'orders', 'order_id'],
        ['trades', 'trades', 'trade_id'], ['fills', 'facts', 'fill_id'],
        ['settlements', 'facts', 'market_ticker'], ['switches', 'switches', 'source'],
        ['account_config', 'settings', 'generation'], ['account_settings', 'settings', 'generation'],
        ['automation', 'automation', 'account'], ['totals', 'totals', 'account'],
        ['balances', 'balances', 'account']
    ] LOOP
        EXECUTE format('CREATE TRIGGER row_change AFTER INSERT OR UPDATE ON trading.%I FOR EACH ROW '
                       'EXECUTE FUNCTION trading.notify_row(%L, %L)', entry[1], entry[2], entry[3]);
    END LOOP;
END
$$;

-- Over all accounts ---------------------------------------------------------------------------

-- What all accounts hold and have in flight, with the fleet's row locked until the transaction
-- ends: two gates of two accounts cannot both take the last of a shared limit. Only sums leave it.
CREATE FUNCTION trading.lock_fleet_totals(
    minute_ago timestamptz, day_start timestamptz,
    OUT document jsonb, OUT open_trades bigint, OUT held_usd_e6 bigint, OUT in_flight_usd_e6 bigint,
    OUT orders_in_minute bigint, OUT result_today_usd_e6 bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    SELECT f.document INTO document FROM trading.fleet f WHERE f.name = 'default' FOR UPDATE;
    IF document IS NULL THEN
        RETURN;
    END IF;
    SELECT count(*) INTO open_trades FROM trading.trades
     WHERE state NOT IN ('closed', 'settled', 'abandoned');
    -- In flight first, held after: a fill that is booked between the two counts twice, never not.
    SELECT coalesce(sum(div(reserved_usd_e6::numeric *
               ((CASE WHEN state IN ('executed', 'canceled', 'rejected', 'expired_unsent')
                      THEN filled_qty_e2 ELSE qty_e2 END) - booked_qty_e2) + qty_e2 - 1, qty_e2)), 0)
      INTO in_flight_usd_e6 FROM trading.orders
     WHERE purpose = 'entry'
       AND (state NOT IN ('executed', 'canceled', 'rejected', 'expired_unsent')
            OR booked_qty_e2 < filled_qty_e2);
    SELECT coalesce(sum(cost_usd_e6), 0) INTO held_usd_e6 FROM trading.positions WHERE qty_e2 <> 0;
    SELECT count(*) INTO orders_in_minute FROM trading.orders WHERE created_at > minute_ago;
    SELECT coalesce(-sum(amount_usd_e6), 0) INTO result_today_usd_e6
      FROM trading.ledger_postings WHERE book IN ('result', 'fees') AND at >= day_start;
END
$$;
REVOKE ALL ON FUNCTION trading.lock_fleet_totals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION trading.lock_fleet_totals TO recio_account;

-- Row-level security and grants --------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'accounts', 'account_config', 'account_settings', 'automation', 'decisions', 'intents',
        'trades', 'orders', 'order_events', 'stops', 'fills', 'positions', 'settlements',
        'ledger_transactions', 'ledger_postings', 'totals', 'balances', 'leases', 'audit'
    ] LOOP
        EXECUTE format('ALTER TABLE trading.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_account ON trading.%I TO recio_account '
                       'USING (account = trading.login_account()) '
                       'WITH CHECK (account = trading.login_account())', name);
        EXECUTE format('CREATE POLICY all_accounts ON trading.%I TO recio_owner, recio_main_app, '
                       'recio_operator, recio_cascading_failure_detector, recio_system_monitor '
                       'USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;
ALTER TABLE trading.switches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON trading.switches FOR SELECT TO recio_account
    USING (scope IN (trading.login_account(), '*'));
CREATE POLICY own_breaker_insert ON trading.switches FOR INSERT TO recio_account
    WITH CHECK (scope = trading.login_account() AND source LIKE 'breaker:%');
CREATE POLICY own_breaker_update ON trading.switches FOR UPDATE TO recio_account
    USING (scope = trading.login_account() AND source LIKE 'breaker:%')
    WITH CHECK (scope = trading.login_account() AND source LIKE 'breaker:%');
CREATE POLICY read_all ON trading.switches FOR SELECT TO recio_main_app, recio_operator,
    recio_cascading_failure_detector, recio_system_monitor USING (true);
-- A row is released only where it was set: each writer reaches the rows of its own sources.
CREATE POLICY every_source ON trading.switches TO recio_owner USING (true) WITH CHECK (true);
CREATE POLICY own_person ON trading.switches TO recio_main_app
    USING (source = 'person') WITH CHECK (source = 'person');
CREATE POLICY own_resource ON trading.switches TO recio_operator
    USING (source IN ('resource', 'fleet')) WITH CHECK (source IN ('resource', 'fleet'));
CREATE POLICY own_breaker ON trading.switches TO recio_cascading_failure_detector
    USING (source LIKE 'breaker:%') WITH CHECK (source LIKE 'breaker:%');

GRANT EXECUTE ON FUNCTION trading.login_account TO PUBLIC;
GRANT SELECT ON trading.accounts, trading.account_config, trading.account_settings, trading.fleet,
    trading.switches, trading.automation, trading.decisions, trading.intents, trading.trades,
    trading.orders, trading.order_events, trading.order_transitions, trading.trade_transitions,
    trading.stops, trading.fills, trading.positions, trading.settlements,
    trading.ledger_transactions, trading.ledger_postings, trading.totals, trading.balances,
    trading.leases, trading.audit TO recio_account, recio_main_app;
GRANT UPDATE (last_trade_number) ON trading.accounts TO recio_account;
GRANT INSERT, UPDATE ON trading.automation, trading.stops, trading.positions, trading.totals,
    trading.leases, trading.switches TO recio_account;
-- What was wished and what was ordered cannot be rewritten, only how it went on.
GRANT INSERT, UPDATE (state, refusal, changed_at) ON trading.intents TO recio_account;
GRANT INSERT, UPDATE (state, filled_qty_e2, exited_qty_e2, entry_cost_usd_e6, exit_proceeds_usd_e6,
    fees_usd_e6, settlement_usd_e6, pnl_usd_e6, symbol_close_usd_e6, close_reason, opened_at,
    ended_at, changed_at) ON trading.trades TO recio_account;
GRANT INSERT, UPDATE (state, order_group_id, exchange_order_id, filled_qty_e2, booked_qty_e2, epoch,
    claimed_at, claimed_wall_at, reason, changed_at) ON trading.orders TO recio_account;
GRANT INSERT ON trading.decisions, trading.order_events, trading.fills, trading.settlements,
    trading.ledger_transactions, trading.ledger_postings, trading.balances TO recio_account;
GRANT INSERT ON trading.intents, trading.account_settings TO recio_main_app;
GRANT INSERT, UPDATE ON trading.switches TO recio_main_app, recio_cascading_failure_detector,
    recio_operator;
GRANT SELECT ON trading.switches, trading.accounts TO recio_cascading_failure_detector,
    recio_operator, recio_system_monitor;
GRANT INSERT, UPDATE, SELECT ON trading.accounts, trading.fleet TO recio_operator;
GRANT INSERT, SELECT ON trading.account_config TO recio_operator;
GRANT SELECT ON trading.account_settings, trading.leases, trading.positions, trading.totals
    TO recio_operator;

-- What the operator and `kubectl get ta` show of an account.
CREATE VIEW ops.account_status WITH (security_invoker = true) AS
SELECT a.account, a.mode, a.environment,
       (SELECT max(generation) FROM trading.account_config c WHERE c.account = a.account) AS generation,
       NOT EXISTS (SELECT FROM trading.positions p WHERE p.account = a.account AND p.qty_e2 <> 0) AS is_flat,
       (SELECT max(s.state) FROM trading.switches s WHERE s.scope IN (a.account, '*')) AS trading,
       l.holder AS executor, l.epoch
  FROM trading.accounts a
  LEFT JOIN trading.leases l ON l.account = a.account AND l.service = 'trade_executor';
GRANT SELECT ON ops.account_status TO recio_operator, recio_main_app;
