-- Journals and decisions get partitions by day, and one function that makes them ahead and drops them
-- whole when they are old. Nobody may delete a row. The previous code works on: it inserts without
-- naming a conflict, and knows nothing of the new columns.

SET LOCAL ROLE recio_owner;

-- Which snapshots a batch makes again: those with made_from < generation <= made_to. NULL: none, or
-- the session had a gap before it. Hosts of an account look here before they forget a snapshot.
ALTER TABLE market.journal
    ADD COLUMN made_from bigint,
    ADD COLUMN made_to bigint,
    ADD CHECK ((made_from IS NULL) = (made_to IS NULL) AND made_from <= made_to);
GRANT SELECT (environment, first_at, made_from, made_to) ON market.journal TO recio_account;

-- Decisions become partitioned; the table there was holds what lies before the first daily partition.
ALTER TABLE trading.decisions RENAME TO decisions_rest;
ALTER TABLE trading.decisions_rest DROP CONSTRAINT decisions_pkey;
ALTER TABLE trading.decisions_rest ADD CONSTRAINT decisions_rest_pkey
    PRIMARY KEY (account, decision_id, at);
ALTER INDEX trading.decisions_at RENAME TO decisions_rest_at;
REVOKE ALL ON trading.decisions_rest FROM recio_account, recio_main_app;

CREATE TABLE trading.decisions (
    account      text        NOT NULL REFERENCES trading.accounts,
    decision_id  uuid        NOT NULL,
    kind         text        NOT NULL
                 CONSTRAINT decisions_kind_check CHECK (kind IN ('entry', 'stop')),
    event_ticker text        NOT NULL,
    generation   bigint      NOT NULL,
    at           timestamptz NOT NULL,
    body         bytea       NOT NULL,
    PRIMARY KEY (account, decision_id, at)
) PARTITION BY RANGE (at);
CREATE INDEX decisions_at ON trading.decisions (account, at);
COMMENT ON COLUMN trading.decisions.body IS
    'MessagePack: the inputs with their ages, and for every strike the first gate it failed.';
ALTER TABLE trading.decisions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON trading.decisions TO recio_account
    USING (account = trading.login_account()) WITH CHECK (account = trading.login_account());
CREATE POLICY all_accounts ON trading.decisions TO recio_owner, recio_main_app, recio_operator,
    recio_cascading_failure_detector, recio_system_monitor USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON trading.decisions TO recio_account;
GRANT SELECT ON trading.decisions TO recio_main_app;

-- What is there stays where it is, up to a day after its newest row; an empty table takes the rest.
DO $$
DECLARE
    parent text;
    time_column text;
    newest timestamptz;
    border timestamptz;
BEGIN
    FOREACH parent IN ARRAY ARRAY['market.journal', 'trading.journal', 'trading.decisions'] LOOP
        time_column := CASE parent WHEN 'trading.decisions' THEN 'at' ELSE 'first_at' END;
        IF parent <> 'trading.decisions' THEN
            EXECUTE format('ALTER TABLE %s DETACH PARTITION %s_rest', parent, parent);
        END IF;
        IF parent = 'trading.journal' THEN
            -- Without any policy its own forced security would hide its rows from retention, too.
            CREATE POLICY retention ON trading.journal_rest TO recio_owner USING (true);
        END IF;
        EXECUTE format('SELECT max(%I) FROM %s_rest', time_column, parent) INTO newest;
        IF newest IS NULL THEN
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s_rest DEFAULT', parent, parent);
        ELSE
            border := date_trunc('day', newest, 'UTC') + interval '2 days';
            EXECUTE format('ALTER TABLE %s_rest RENAME TO %s_before', parent,
                           split_part(parent, '.', 2));
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s_before FOR VALUES FROM (MINVALUE) '
                           'TO (%L)', parent, parent, border);
            EXECUTE format('CREATE TABLE %s_rest PARTITION OF %s DEFAULT', parent, parent);
            IF parent <> 'market.journal' THEN
                EXECUTE format('ALTER TABLE %s_rest ENABLE ROW LEVEL SECURITY, '
                               'FORCE ROW LEVEL SECURITY', parent);
                EXECUTE format('CREATE POLICY retention ON %s_rest TO recio_owner USING (true)',
                               parent);
            END IF;
            EXECUTE format('ALTER TABLE %s_rest ALTER COLUMN body SET STORAGE EXTERNAL', parent);
        END IF;
    END LOOP;
END
$$;

-- Makes the partitions of the coming days and drops the old ones. "Old" is told by the rows alone:
-- each environment or account keeps so many days before its newest row. A partition stays while one of
-- them still needs it, and while a trade that is not over began in or before it. Whoever waits for a
-- lock holds up everybody behind him, exits too, so that it waits for a fifth of a second and says busy.
CREATE FUNCTION ops.retain(parent text, keep_days integer)
RETURNS TABLE (action text, partition text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
    time_column text := CASE parent WHEN 'trading.decisions' THEN 'at' ELSE 'first_at' END;
    owner_column text := CASE parent WHEN 'market.journal' THEN 'environment' ELSE 'account' END;
    rest text := parent || '_rest';
    owners text[] := '{}';
    newest timestamptz[] := '{}';
    needed timestamptz;
    one text;
    latest timestamptz;
    day timestamptz;
    upper_bound timestamptz;
    is_there boolean;
    child record;
BEGIN
    IF parent NOT IN ('market.journal', 'trading.journal', 'trading.decisions') OR keep_days < 1 THEN
        RAISE EXCEPTION 'expected market.journal, trading.journal or trading.decisions and at least '
            'one day, received % and %', parent, keep_days USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR one IN EXECUTE CASE parent WHEN 'market.journal'
        THEN 'SELECT environment FROM ops.environments' ELSE 'SELECT account FROM trading.accounts' END
    LOOP
        EXECUTE format('SELECT max(%I) FROM %s WHERE %I = $1', time_column, parent, owner_column)
            INTO latest USING one;
        IF latest IS NOT NULL THEN
            owners := owners || one;
            newest := newest || latest;
        END IF;
    END LOOP;
    SELECT min(t.created_at) - interval '1 hour' INTO needed FROM trading.trades t
     WHERE t.state NOT IN ('closed', 'settled', 'abandoned');

    FOR day IN SELECT DISTINCT d FROM unnest(newest) AS n,
               generate_series(date_trunc('day', n, 'UTC'), n + interval '2 days', '1 day') AS d
               ORDER BY d LOOP
        partition := parent || '_' || to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I >= $1 AND %I < $2)',
                       rest, time_column, time_column)
            INTO is_there USING day, day + interval '1 day';
        -- The rest has this day already: it keeps it, and is dropped as a whole when it is old.
        CONTINUE WHEN is_there;
        BEGIN
            EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                           partition, parent, day, day + interval '1 day');
            EXECUTE format('ALTER TABLE %s ALTER COLUMN body SET STORAGE EXTERNAL', partition);
            IF parent <> 'market.journal' THEN
                EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
                               partition);
                EXECUTE format('CREATE POLICY retention ON %s TO recio_owner USING (true)', partition);
            END IF;
            action := 'made';
            RETURN NEXT;
        EXCEPTION
            WHEN lock_not_available THEN
                action := 'busy';
                RETURN NEXT;
            WHEN invalid_object_definition THEN
                NULL; -- an older partition covers the day
        END;
    END LOOP;

    FOR child IN SELECT i.inhrelid::regclass::text AS name,
                        pg_get_expr(c.relpartbound, c.oid) AS bound
                   FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                  WHERE i.inhparent = parent::regclass ORDER BY 1 LOOP
        partition := child.name;
        IF child.bound = 'DEFAULT' THEN
            EXECUTE format('SELECT max(%I) FROM %s', time_column, rest) INTO upper_bound;
        ELSE
            upper_bound := substring(child.bound FROM $re$TO \('([^']+)'\)$re$)::timestamptz;
        END IF;
        CONTINUE WHEN upper_bound IS NULL OR upper_bound > needed;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s r, unnest($1, $2) AS u(o, n) '
                       'WHERE r.%I = u.o AND r.%I >= u.n - make_interval(days => $3))',
                       child.name, owner_column, time_column)
            INTO is_there USING owners, newest, keep_days;
        CONTINUE WHEN is_there;
        -- An empty one may be waiting for its day.
        CONTINUE WHEN cardinality(newest) = 0 OR EXISTS (
            SELECT FROM unnest(newest) AS n
             WHERE upper_bound > n AND upper_bound < n + interval '4 days');
        BEGIN
            EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, child.name);
            EXECUTE format('DROP TABLE %s', child.name);
            IF child.bound = 'DEFAULT' THEN
                EXECUTE format('CREATE TABLE %s PARTITION OF %s DEFAULT', rest, parent);
                EXECUTE format('ALTER TABLE %s ALTER COLUMN body SET STORAGE EXTERNAL', rest);
                IF parent <> 'market.journal' THEN
                    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, '
                                   'FORCE ROW LEVEL SECURITY', rest);
                    EXECUTE format('CREATE POLICY retention ON %s TO recio_owner USING (true)', rest);
                END IF;
            END IF;
            action := 'dropped';
            RETURN NEXT;
        EXCEPTION WHEN lock_not_available THEN
            action := 'busy';
            RETURN NEXT;
        END;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION ops.retain FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.retain TO recio_system_monitor;
COMMENT ON FUNCTION ops.retain IS
    'Makes the partitions of the coming days of a journal or of decisions, and drops those older than '
    'so many days before the newest row.';
