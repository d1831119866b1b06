-- Who there is. No service logs in as an owner: recio_owner owns everything and cannot log in.
-- Logins: one for each environment and shared service, and one for each account
-- (recio_account_<account>, made when the account is applied, member of the group recio_account).

DO $$
DECLARE
    login text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'recio_owner') THEN
        CREATE ROLE recio_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'recio_account') THEN
        CREATE ROLE recio_account NOLOGIN;
    END IF;
    FOREACH login IN ARRAY ARRAY[
        'recio_exchange_simulator', 'recio_btc_price_watchdog', 'recio_kalshi_api_watchdog',
        'recio_unified_production_coordinator', 'recio_db_poller', 'recio_system_monitor',
        'recio_cascading_failure_detector', 'recio_main_app', 'recio_operator'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', login);
        END IF;
    END LOOP;
    EXECUTE format('GRANT recio_owner TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO recio_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO recio_account, recio_exchange_simulator, '
        'recio_btc_price_watchdog, recio_kalshi_api_watchdog, '
        'recio_unified_production_coordinator, recio_db_poller, recio_system_monitor, '
        'recio_cascading_failure_detector, recio_main_app, recio_operator', current_database());
END
$$;

CREATE SCHEMA IF NOT EXISTS ops;
GRANT USAGE, CREATE ON SCHEMA ops TO recio_owner;
CREATE SCHEMA market AUTHORIZATION recio_owner;
CREATE SCHEMA trading AUTHORIZATION recio_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA market TO recio_account, recio_btc_price_watchdog,
    recio_kalshi_api_watchdog, recio_unified_production_coordinator, recio_main_app,
    recio_system_monitor;
GRANT USAGE ON SCHEMA trading TO recio_account, recio_main_app, recio_cascading_failure_detector,
    recio_operator, recio_system_monitor;
GRANT USAGE ON SCHEMA ops TO recio_account, recio_exchange_simulator, recio_btc_price_watchdog,
    recio_kalshi_api_watchdog, recio_unified_production_coordinator, recio_db_poller,
    recio_system_monitor, recio_cascading_failure_detector, recio_main_app, recio_operator;
