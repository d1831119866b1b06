-- What a release on Kubernetes needs of the database: which account has which key, logins of accounts
-- made on demand, what the operator sees of an account, and market time that any node can tell.
-- Everything here leaves the code before it working.

-- As the login that migrates: it owns this table, and it alone can make roles.

GRANT SELECT ON ops.migrations TO recio_account, recio_exchange_simulator,
    recio_btc_price_watchdog, recio_kalshi_api_watchdog, recio_unified_production_coordinator,
    recio_db_poller, recio_system_monitor, recio_cascading_failure_detector, recio_main_app,
    recio_operator;

-- What a connection asks for at its start, kept with the login: a transaction pooler passes on no
-- startup options. Every time is read and written in UTC; nobody holds a transaction open idle.
DO $$
DECLARE
    login text;
BEGIN
    FOR login IN
        SELECT rolname FROM pg_catalog.pg_roles
         WHERE rolcanlogin AND (starts_with(rolname, 'recio_account_') OR rolname IN (
            'recio_exchange_simulator', 'recio_btc_price_watchdog', 'recio_kalshi_api_watchdog',
            'recio_unified_production_coordinator', 'recio_db_poller', 'recio_system_monitor',
            'recio_cascading_failure_detector', 'recio_main_app', 'recio_operator'))
    LOOP
        EXECUTE format('ALTER ROLE %I SET timezone = %L', login, 'UTC');
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', login, '15s');
    END LOOP;
END
$$;

-- The verifier is what PostgreSQL itself would store: whoever calls has never sent the password.
CREATE FUNCTION ops.create_account_login(account text, verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    login text := 'recio_account_' || account;
BEGIN
    IF account IS NULL OR length(account) > 32
       OR account !~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$' THEN
        RAISE EXCEPTION 'expected the name of an account, received %', quote_nullable(account)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$' THEN
        RAISE EXCEPTION 'expected a SCRAM-SHA-256 verifier for the login %', login
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('recio account logins'));
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = login) THEN
        EXECUTE format('CREATE ROLE %I LOGIN IN ROLE recio_account', login);
        EXECUTE format('ALTER ROLE %I SET timezone = %L', login, 'UTC');
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', login, '15s');
    ELSE
        EXECUTE format('ALTER ROLE %I LOGIN', login);
    END IF;
    IF verifier IS NOT NULL THEN
        EXECUTE format('ALTER ROLE %I PASSWORD %L', login, verifier);
    END IF;
END
$$;
COMMENT ON FUNCTION ops.create_account_login IS
    'Makes the login of an account''s services, or lets it in again; NULL leaves its password.';

CREATE FUNCTION ops.disable_account_login(account text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    login text := 'recio_account_' || account;
BEGIN
    IF account IS NULL OR length(account) > 32
       OR account !~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$' THEN
        RAISE EXCEPTION 'expected the name of an account, received %', quote_nullable(account)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('recio account logins'));
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = login) THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', login);
    END IF;
END
$$;
COMMENT ON FUNCTION ops.disable_account_login IS
    'Lets the login of an account in no more; the role stays, because history names it.';

REVOKE ALL ON FUNCTION ops.create_account_login, ops.disable_account_login FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.create_account_login, ops.disable_account_login TO recio_operator;

SET LOCAL ROLE recio_owner;

CREATE TABLE trading.account_keys (
    account     text PRIMARY KEY REFERENCES trading.accounts,
    key_sha256  text        NOT NULL CHECK (key_sha256 ~ '^[0-9a-f]{64}$'),
    changed_at  timestamptz NOT NULL,
    CONSTRAINT one_account_a_key UNIQUE (key_sha256)
);
COMMENT ON TABLE trading.account_keys IS
    'SHA-256 of the API key id that an account trades with: two with one key would double every '
    'limit. Takes the place of trading.accounts.key_hash.';
ALTER TABLE trading.account_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_accounts ON trading.account_keys TO recio_owner, recio_operator, recio_main_app
    USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON trading.account_keys TO recio_operator;
GRANT SELECT ON trading.account_keys TO recio_main_app;

ALTER TABLE ops.environments ADD COLUMN w0_us bigint,
    ADD CONSTRAINT wall_time_has_no_speed CHECK (w0_us IS NULL OR speed = 1);
COMMENT ON COLUMN ops.environments.w0_us IS
    'If set, market time = t0 + (wall - w0): each process translates once, at its start, and goes on '
    'by its own monotonic clock. For environments that span machines and boots.';
-- The exchange of an environment makes the row of one that has none; nobody moves it afterwards.
GRANT INSERT ON ops.environments TO recio_exchange_simulator;

-- Who loads the exchange's memory takes over: a copy that is still ending saves nothing any more.
ALTER TABLE exchange_sim.exchange ADD COLUMN epoch bigint NOT NULL DEFAULT 0;

-- Rows of services that are no more.
GRANT DELETE ON ops.health TO recio_system_monitor;

-- What may still bring fills (see the index trading.orders_live), and what is not over.
CREATE OR REPLACE VIEW ops.account_status WITH (security_invoker = true) AS
SELECT a.account, a.mode, a.environment,
       (SELECT max(generation) FROM trading.account_config c WHERE c.account = a.account) AS generation,
       NOT EXISTS (SELECT FROM trading.positions p WHERE p.account = a.account AND p.qty_e2 <> 0) AS is_flat,
       (SELECT max(s.state) FROM trading.switches s WHERE s.scope IN (a.account, '*')) AS trading,
       l.holder AS executor, l.epoch,
       (SELECT count(*) FROM trading.orders o WHERE o.account = a.account
           AND (o.state NOT IN ('executed', 'canceled', 'rejected', 'expired_unsent')
                OR o.booked_qty_e2 < o.filled_qty_e2)) AS live_orders,
       (SELECT count(*) FROM trading.trades t WHERE t.account = a.account
           AND t.state NOT IN ('closed', 'settled', 'abandoned')) AS open_trades
  FROM trading.accounts a
  LEFT JOIN trading.leases l ON l.account = a.account AND l.service = 'trade_executor';

-- The operator counts orders, trades and positions and learns nothing else of them.
REVOKE SELECT ON trading.positions, trading.totals FROM recio_operator;
GRANT SELECT (account, qty_e2) ON trading.positions TO recio_operator;
GRANT SELECT (account, state, filled_qty_e2, booked_qty_e2) ON trading.orders TO recio_operator;
GRANT SELECT (account, state) ON trading.trades TO recio_operator;
