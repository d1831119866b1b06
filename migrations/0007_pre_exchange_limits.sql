-- What the exchange itself holds an account to: one row an account and shard. The order group that
-- its entries carry is a fuse on contracts in any 15 seconds; the money on the shard is the most
-- that can be lost there, whatever we do. Written by the executor, which remembers its group here.
-- Leaves the code before it working.

SET LOCAL ROLE recio_owner;

CREATE TABLE trading.exchange_limits (
    account           text        NOT NULL REFERENCES trading.accounts,
    exchange_index    integer     NOT NULL CHECK (exchange_index >= 0),
    limit_id          text        NOT NULL
        GENERATED ALWAYS AS (account || '/' || exchange_index::text) STORED,
    state             text        NOT NULL CHECK (state IN ('making', 'ready', 'blown', 'unverified')),
    order_group_id    text,
    contracts_e2      bigint      NOT NULL CHECK (contracts_e2 > 0),
    reason            text        NOT NULL DEFAULT '',
    cash_usd_e6       bigint,
    elsewhere_usd_e6  bigint,
    read_at           timestamptz,
    changed_at        timestamptz NOT NULL,
    version           integer     NOT NULL DEFAULT 1,
    PRIMARY KEY (account, exchange_index),
    CHECK (order_group_id IS NOT NULL OR state IN ('making', 'unverified'))
);
COMMENT ON TABLE trading.exchange_limits IS
    'The fuse that entries carry (contracts_e2 in any 15 s) and the cash on its shard and elsewhere.';

CREATE TRIGGER exchange_limits_version BEFORE UPDATE ON trading.exchange_limits
    FOR EACH ROW EXECUTE FUNCTION trading.bump_version();
CREATE TRIGGER exchange_limits_audit AFTER INSERT OR UPDATE ON trading.exchange_limits
    FOR EACH ROW EXECUTE FUNCTION trading.audit_state('limit_id');
CREATE TRIGGER never_deleted BEFORE DELETE ON trading.exchange_limits
    FOR EACH ROW EXECUTE FUNCTION trading.refuse_change();
CREATE TRIGGER row_change AFTER INSERT OR UPDATE ON trading.exchange_limits
    FOR EACH ROW EXECUTE FUNCTION trading.notify_row('exchange_limits', 'limit_id');

ALTER TABLE trading.exchange_limits ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON trading.exchange_limits TO recio_account
    USING (account = trading.login_account()) WITH CHECK (account = trading.login_account());
CREATE POLICY all_accounts ON trading.exchange_limits TO recio_owner, recio_main_app
    USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON trading.exchange_limits TO recio_account;
GRANT SELECT ON trading.exchange_limits TO recio_main_app;

-- The worst loss that the exchange itself would allow: all cash on the shard and all that is held.
CREATE VIEW ops.exchange_limits WITH (security_invoker = true) AS
SELECT l.account, l.exchange_index, l.state, l.reason, l.order_group_id, l.contracts_e2,
       l.cash_usd_e6, l.elsewhere_usd_e6, l.read_at,
       l.cash_usd_e6 + (SELECT coalesce(sum(p.cost_usd_e6), 0)::bigint FROM trading.positions p
                         WHERE p.account = l.account AND p.qty_e2 <> 0) AS worst_loss_usd_e6
  FROM trading.exchange_limits l;
GRANT SELECT ON ops.exchange_limits TO recio_account, recio_main_app;
