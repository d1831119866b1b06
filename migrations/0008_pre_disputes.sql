-- What the exchange told and account sync does not believe: kept as evidence, decided by a person.
-- An open row holds the account's entries (switch breaker:books); nothing in the books is changed by
-- it. The code before it works on: it knows nothing of the table.

SET LOCAL ROLE recio_owner;

CREATE TABLE trading.disputes (
    dispute_id   uuid PRIMARY KEY,
    account      text        NOT NULL REFERENCES trading.accounts,
    reason       text        NOT NULL CHECK (reason ~ '^[a-z_]{1,40}$'),
    subject      text        NOT NULL CHECK (length(subject) <= 200),
    told         jsonb       NOT NULL,
    held         jsonb       NOT NULL,
    explanation  text        NOT NULL,
    state        text        NOT NULL
                 CHECK (state IN ('open', 'accepted', 'booked', 'discarded', 'cleared')),
    note         text        NOT NULL DEFAULT '',
    author       text        NOT NULL,
    opened_at    timestamptz NOT NULL,
    changed_at   timestamptz NOT NULL,
    version      integer     NOT NULL DEFAULT 1
);
CREATE INDEX disputes_open ON trading.disputes (account) WHERE state IN ('open', 'accepted');
CREATE INDEX disputes_account ON trading.disputes (account, opened_at);
COMMENT ON TABLE trading.disputes IS
    'What the exchange told and is not believed. told and held never change; a person accepts (it is '
    'booked) or discards; what was but a moment''s difference is cleared when it is gone.';

CREATE FUNCTION trading.check_dispute_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('open', 'accepted'), ('open', 'discarded'), ('open', 'cleared'), ('accepted', 'booked'),
        ('accepted', 'open'), ('accepted', 'cleared'), ('cleared', 'open')) THEN
        RAISE EXCEPTION 'dispute %: no transition from % to %', OLD.dispute_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dispute_transitions';
    END IF;
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER disputes_check BEFORE UPDATE ON trading.disputes
    FOR EACH ROW EXECUTE FUNCTION trading.check_dispute_update();
CREATE TRIGGER disputes_audit AFTER INSERT OR UPDATE ON trading.disputes
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state('dispute_id');
CREATE TRIGGER never_deleted BEFORE DELETE ON trading.disputes
    FOR EACH ROW EXECUTE FUNCTION trading.refuse_change();
CREATE TRIGGER row_change AFTER INSERT OR UPDATE ON trading.disputes
    FOR EACH ROW EXECUTE FUNCTION trading.notify_row('disputes', 'dispute_id');

ALTER TABLE trading.disputes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON trading.disputes TO recio_account
    USING (account = trading.login_account()) WITH CHECK (account = trading.login_account());
CREATE POLICY all_accounts ON trading.disputes TO recio_owner, recio_main_app
    USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (state, note, author, changed_at) ON trading.disputes TO recio_account;
-- A person decides; what was told stays what it is.
GRANT SELECT, UPDATE (state, note, author, changed_at) ON trading.disputes TO recio_main_app;
