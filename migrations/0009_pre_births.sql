-- Nothing of the money path is born in the middle of its life, and no epoch ever falls, whatever an
-- account's own login is made to say. The owner, who restores and repairs, is not held to the first.

SET LOCAL ROLE recio_owner;

CREATE FUNCTION trading.check_birth() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    born jsonb := to_jsonb(NEW);
BEGIN
    IF trading.login_account() IS NULL THEN
        RETURN NEW;
    END IF;
    IF born ->> 'state' <> TG_ARGV[0] THEN
        RAISE EXCEPTION '%: expected a new row to be %, received %',
            TG_TABLE_NAME, TG_ARGV[0], born ->> 'state'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'born_at_the_beginning';
    END IF;
    -- A wish is one order; it is sent again under the same id, never made anew.
    IF TG_TABLE_NAME = 'orders' AND (born ->> 'attempt' <> '1' OR born ->> 'filled_qty_e2' <> '0'
        OR born ->> 'booked_qty_e2' <> '0' OR born ->> 'exchange_order_id' IS NOT NULL) THEN
        RAISE EXCEPTION 'order %: expected attempt 1 of its intent, not sent and not filled',
            born ->> 'order_id'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'one_order_an_intent';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER birth BEFORE INSERT ON trading.intents
    FOR EACH ROW EXECUTE FUNCTION trading.check_birth('proposed');
CREATE TRIGGER birth BEFORE INSERT ON trading.trades
    FOR EACH ROW EXECUTE FUNCTION trading.check_birth('created');
CREATE TRIGGER birth BEFORE INSERT ON trading.orders
    FOR EACH ROW EXECUTE FUNCTION trading.check_birth('created');

CREATE FUNCTION trading.check_lease_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF NEW.epoch < OLD.epoch OR (NEW.epoch = OLD.epoch AND NEW.holder <> OLD.holder) THEN
        RAISE EXCEPTION 'lease %/%: epoch % of % cannot follow epoch % of %',
            OLD.account, OLD.service, NEW.epoch, NEW.holder, OLD.epoch, OLD.holder
            USING ERRCODE = 'check_violation', CONSTRAINT = 'leases_epoch_monotone';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER leases_check BEFORE UPDATE ON trading.leases
    FOR EACH ROW EXECUTE FUNCTION trading.check_lease_update();
