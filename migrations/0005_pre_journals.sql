-- Journals: what the folds of a host took in, in that order, so that every decision can be made
-- again from them alone (engine/replay.py). One row is one compressed batch of one run of one host
-- (engine/journal.py has the format); digests chain the batches of a run, so that a changed or a
-- missing one is seen. Append-only by grants and trigger. Times come from the clock port.

SET LOCAL ROLE recio_owner;

CREATE TABLE market.journal (
    environment  text        NOT NULL,
    host         text        NOT NULL,
    session      uuid        NOT NULL,
    seq          integer     NOT NULL CHECK (seq > 0),
    first_at     timestamptz NOT NULL,
    count        integer     NOT NULL CHECK (count > 0),
    format       integer     NOT NULL,
    digest       bytea       NOT NULL CHECK (length(digest) = 32),
    body         bytea       NOT NULL,
    PRIMARY KEY (environment, host, session, seq, first_at)
) PARTITION BY RANGE (first_at);
CREATE TABLE market.journal_rest PARTITION OF market.journal DEFAULT;
CREATE INDEX journal_first_at ON market.journal (environment, host, first_at);
COMMENT ON TABLE market.journal IS
    'Inputs of the snapshot fold; session is one run of the host, seq its batches from 1 on.';

CREATE TABLE trading.journal (
    account      text        NOT NULL REFERENCES trading.accounts,
    host         text        NOT NULL,
    session      uuid        NOT NULL,
    seq          integer     NOT NULL CHECK (seq > 0),
    first_at     timestamptz NOT NULL,
    count        integer     NOT NULL CHECK (count > 0),
    format       integer     NOT NULL,
    digest       bytea       NOT NULL CHECK (length(digest) = 32),
    body         bytea       NOT NULL,
    PRIMARY KEY (account, host, session, seq, first_at)
) PARTITION BY RANGE (first_at);
CREATE TABLE trading.journal_rest PARTITION OF trading.journal DEFAULT;
CREATE INDEX journal_first_at ON trading.journal (account, host, first_at);
COMMENT ON TABLE trading.journal IS 'Inputs of the entry fold and of the stop fold, as market.journal.';

-- Compressed already: a second attempt would only cost time.
ALTER TABLE market.journal_rest ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE trading.journal_rest ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE FUNCTION market.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'check_violation', CONSTRAINT = 'append_only';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON market.journal
    FOR EACH ROW EXECUTE FUNCTION market.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.journal
    FOR EACH ROW EXECUTE FUNCTION trading.refuse_change();

-- Policies bind whoever goes through the parent; nobody is granted the partition itself, and its
-- own forced security, without any policy, would show nothing.
ALTER TABLE trading.journal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE trading.journal_rest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON trading.journal TO recio_account
    USING (account = trading.login_account()) WITH CHECK (account = trading.login_account());
CREATE POLICY all_accounts ON trading.journal TO recio_owner, recio_main_app
    USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON market.journal TO recio_unified_production_coordinator;
GRANT SELECT ON market.journal TO recio_main_app;
GRANT SELECT, INSERT ON trading.journal TO recio_account;
GRANT SELECT ON trading.journal TO recio_main_app;
