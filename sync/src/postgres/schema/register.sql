-- What the functions of all API versions are made of. None of it can be called by gateways.

-- Knows a gateway by its secret, and locks its row until the transaction ends: all that writes for a gateway does so one after the other.
-- Names are unknown and secrets wrong in the same words. The secret is 256 random bits, and only hashes are compared.
CREATE OR REPLACE FUNCTION alluvium.enter(gateway_name text, gateway_secret text) RETURNS alluvium.gateways LANGUAGE plpgsql AS $$
DECLARE
    known alluvium.gateways;
BEGIN
    -- A session may have been told not to wait for the disk. What is answered here is durable.
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    SELECT * INTO known FROM alluvium.gateways g
        WHERE g.name = gateway_name AND g.retired_at IS NULL AND g.secret = sha256(convert_to(gateway_secret, 'UTF8'))
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'ZAL01', MESSAGE = 'the gateway is unknown, or its secret is another';
    END IF;
    RETURN known;
END $$;

-- The same for those that only read: nothing is locked.
CREATE OR REPLACE FUNCTION alluvium.enter_to_read(gateway_name text, gateway_secret text) RETURNS alluvium.gateways LANGUAGE plpgsql AS $$
DECLARE
    known alluvium.gateways;
BEGIN
    SELECT * INTO known FROM alluvium.gateways g
        WHERE g.name = gateway_name AND g.retired_at IS NULL AND g.secret = sha256(convert_to(gateway_secret, 'UTF8'));
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'ZAL01', MESSAGE = 'the gateway is unknown, or its secret is another';
    END IF;
    RETURN known;
END $$;

-- A moment as manifests write it.
CREATE OR REPLACE FUNCTION alluvium.moment(at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- The head of a gateway as it is told; null where it has none.
CREATE OR REPLACE FUNCTION alluvium.head_of(g alluvium.gateways) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN g.head_cut IS NOT NULL THEN jsonb_build_object(
        'incarnation', encode(g.head_incarnation, 'hex'), 'order', g.head_order, 'cut', g.head_cut, 'hash', encode(g.head_hash, 'hex'),
        'through', g.head_through, 'sealed_at', alluvium.moment(g.head_sealed_at),
        'audit', CASE WHEN g.audit_number IS NOT NULL
            THEN jsonb_build_object('number', g.audit_number, 'hash', encode(g.audit_hash, 'hex')) END) END;
END $$;

-- Where a manifest that does not simply follow the head belongs: 'already', 'conflict', 'behind' (the centre is: cuts before it are not here),
-- 'unknown_previous', or null where it begins an incarnation: then that has been made.
CREATE OR REPLACE FUNCTION alluvium.place(g alluvium.gateways, m jsonb, manifest_hash bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    own bytea := decode(m ->> 'incarnation', 'hex');
    number_of_cut bigint := (m ->> 'cut')::bigint;
    known record;
    before record;
BEGIN
    SELECT i.number, c.hash INTO known FROM alluvium.incarnations i
        LEFT JOIN alluvium.cuts c ON c.gateway = i.gateway AND c.incarnation = i.number AND c.cut = number_of_cut
        WHERE i.gateway = g.gateway AND i.incarnation = own;
    IF FOUND THEN
        RETURN CASE
            WHEN known.hash = manifest_hash THEN 'already'
            WHEN own = g.head_incarnation AND number_of_cut > g.head_cut + 1 THEN 'behind'
            ELSE 'conflict' END;
    END IF;
    IF g.head_cut IS NULL THEN
        IF number_of_cut > 1 THEN RETURN 'behind'; END IF;
        INSERT INTO alluvium.incarnations (gateway, number, incarnation) VALUES (g.gateway, 1, own);
        RETURN NULL;
    END IF;
    IF number_of_cut = 1 THEN RETURN 'conflict'; END IF;
    SELECT i.number, c.through_record INTO before FROM alluvium.incarnations i
        JOIN alluvium.cuts c ON c.gateway = i.gateway AND c.incarnation = i.number AND c.cut = number_of_cut - 1
        WHERE i.gateway = g.gateway AND i.incarnation = decode(m -> 'previous' ->> 'incarnation', 'hex')
            AND c.hash = decode(m -> 'previous' ->> 'hash', 'hex') AND c.through_record = (m ->> 'after')::bigint;
    IF NOT FOUND THEN RETURN 'unknown_previous'; END IF;
    PERFORM alluvium.fork(g.gateway, own, before.number, number_of_cut - 1);
    RETURN NULL;
END $$;

-- A new incarnation goes on from a cut: the branch is that of this cut, and what followed it is off.
CREATE OR REPLACE FUNCTION alluvium.fork(of_gateway integer, own bytea, from_number integer, from_cut bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    at_number integer := from_number;
    at_cut bigint := from_cut;
BEGIN
    UPDATE alluvium.incarnations SET branch_cut = 0, branch_record = 0 WHERE gateway = of_gateway;
    WHILE at_number IS NOT NULL LOOP
        UPDATE alluvium.incarnations i SET branch_cut = at_cut, branch_record = c.through_record FROM alluvium.cuts c
            WHERE i.gateway = of_gateway AND i.number = at_number AND c.gateway = of_gateway AND c.incarnation = at_number AND c.cut = at_cut;
        SELECT forked_from, forked_at INTO at_number, at_cut FROM alluvium.incarnations WHERE gateway = of_gateway AND number = at_number;
    END LOOP;
    INSERT INTO alluvium.incarnations (gateway, number, incarnation, forked_from, forked_at)
        SELECT of_gateway, max(number) + 1, own, from_number, from_cut FROM alluvium.incarnations WHERE gateway = of_gateway;
END $$;

-- The cut itself, and the gateway's new head.
CREATE OR REPLACE FUNCTION alluvium.put_cut(g alluvium.gateways, own integer, m jsonb, manifest_hash bytea, api_version integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    audit jsonb := nullif(m -> 'audit', 'null');
    delta jsonb := nullif(m -> 'metadata', 'null');
BEGIN
    INSERT INTO alluvium.cuts (gateway, incarnation, cut, hash, after_record, through_record, sealed_at, audit_number, audit_hash,
            metadata_hash, metadata_bytes, metadata_keys, metadata_after, metadata_through, metadata_at, metadata_there)
        VALUES (g.gateway, own, (m ->> 'cut')::bigint, manifest_hash, (m ->> 'after')::bigint, (m ->> 'through')::bigint,
            (m ->> 'sealed_at')::timestamptz, (audit ->> 'number')::bigint, decode(audit ->> 'hash', 'hex'),
            decode(delta ->> 'hash', 'hex'), (delta ->> 'bytes')::bigint, (delta ->> 'keys')::bigint, (delta ->> 'after')::bigint,
            (delta ->> 'through')::bigint, (delta ->> 'at')::timestamptz, delta IS NULL);
    UPDATE alluvium.gateways SET head_incarnation = decode(m ->> 'incarnation', 'hex'), head_order = own, head_cut = (m ->> 'cut')::bigint,
            head_hash = manifest_hash, head_through = (m ->> 'through')::bigint, head_sealed_at = (m ->> 'sealed_at')::timestamptz,
            audit_number = (audit ->> 'number')::bigint, audit_hash = decode(audit ->> 'hash', 'hex'), api = api_version, seen_at = now()
        WHERE gateway = g.gateway;
END $$;

-- What a cut announces and states. Most cuts state nothing, and then nothing is asked.
CREATE OR REPLACE FUNCTION alluvium.put_content(of_gateway integer, own integer, m jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    of_cut bigint := (m ->> 'cut')::bigint;
BEGIN
    INSERT INTO alluvium.units (gateway, incarnation, table_number, last_record, first_record, period_kind, period_start, cut, rows, first_time, last_time)
        SELECT of_gateway, own, u."table", (u.records ->> 1)::bigint, (u.records ->> 0)::bigint,
            alluvium.period_kind(u.period), alluvium.period_start(u.period), of_cut, u.rows, u.first, u.last
        FROM jsonb_to_recordset(m -> 'units') AS u("table" bigint, period text, records jsonb, rows bigint, first bigint, last bigint);
    -- A table that is as it was is not written again.
    INSERT INTO alluvium.announced_tables AS known (gateway, table_number, name, unit, dropped, incarnation, cut)
        SELECT of_gateway, t."table", t.name, t.unit, t.dropped, own, of_cut
        FROM jsonb_to_recordset(m -> 'tables') AS t("table" bigint, name text, unit text, dropped boolean)
        WHERE NOT EXISTS (SELECT FROM alluvium.announced_tables a WHERE a.gateway = of_gateway AND a.table_number = t."table"
            AND a.name = t.name AND a.unit = t.unit AND a.dropped = t.dropped)
        ON CONFLICT (gateway, table_number) DO UPDATE
            SET name = excluded.name, unit = excluded.unit, dropped = excluded.dropped, incarnation = excluded.incarnation, cut = excluded.cut;
    IF m -> 'tables' @> '[{"dropped": true}]' THEN
        INSERT INTO alluvium.drops SELECT of_gateway, own, of_cut, t."table", (m ->> 'through')::bigint
            FROM jsonb_to_recordset(m -> 'tables') AS t("table" bigint, dropped boolean) WHERE t.dropped;
    END IF;
    IF m -> 'erasures' <> '[]' THEN
        INSERT INTO alluvium.erasures
            SELECT of_gateway, own, of_cut, ordinality, e.sequence, e."table", e.series, e."from", e."to"
            FROM ROWS FROM (jsonb_to_recordset(m -> 'erasures') AS (sequence bigint, "table" bigint, series jsonb, "from" bigint, "to" bigint))
                WITH ORDINALITY AS e(sequence, "table", series, "from", "to", ordinality);
    END IF;
    IF m -> 'gaps' <> '[]' THEN
        INSERT INTO alluvium.gaps
            SELECT of_gateway, own, of_cut, ordinality, g.at::timestamptz, g.kind, (g.sequences ->> 0)::bigint, (g.sequences ->> 1)::bigint,
                g."table", (g.times ->> 0)::bigint, (g.times ->> 1)::bigint, g.detail
            FROM ROWS FROM (jsonb_to_recordset(m -> 'gaps')
                    AS (at text, kind text, sequences jsonb, "table" bigint, times jsonb, detail text))
                WITH ORDINALITY AS g(at, kind, sequences, "table", times, detail, ordinality);
    END IF;
END $$;

-- A confirmed segment, and the units that it holds. Tells whether it is new.
CREATE OR REPLACE FUNCTION alluvium.put_segment(of_gateway integer, own integer, s jsonb, gateway_part text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    begins bigint := alluvium.period_start(s ->> 'period');
    kind smallint := alluvium.period_kind(s ->> 'period');
    ends bigint := alluvium.period_end(kind, begins);
    first_one bigint := (s -> 'records' ->> 0)::bigint;
    last_one bigint := (s -> 'records' ->> 1)::bigint;
BEGIN
    INSERT INTO alluvium.segments (gateway, incarnation, table_number, table_name, period_kind, period_start, period_end, month,
            first_record, last_record, rows, bytes, first_time, last_time, hash, target, key)
        VALUES (of_gateway, own, (s ->> 'table')::bigint, s ->> 'name', kind, begins, ends, alluvium.month_of(begins), first_one, last_one,
            (s ->> 'rows')::bigint, (s ->> 'bytes')::bigint, (s ->> 'first')::bigint, (s ->> 'last')::bigint,
            decode(s ->> 'hash', 'hex'), s ->> 'target', alluvium.segment_key(s, gateway_part))
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE alluvium.units SET held = true
        WHERE gateway = of_gateway AND incarnation = own AND table_number = (s ->> 'table')::bigint
            AND last_record BETWEEN first_one AND last_one AND first_record >= first_one AND NOT held
            AND alluvium.period_holds(kind, begins, ends, period_kind, period_start);
    RETURN true;
END $$;

-- Lines of metadata: of the same key that of the later incarnation holds, and of one incarnation that of the higher sequence, in whatever order they
-- come. Tells how many were newer than what was known.
CREATE OR REPLACE FUNCTION alluvium.put_lines(of_gateway integer, own integer, of_cut bigint, lines jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO alluvium.metadata AS known (gateway, kind, digest, key, incarnation, sequence, cut, value)
        SELECT DISTINCT ON (l.kind, l.digest) of_gateway, l.kind, l.digest, l.key, own, l.sequence, of_cut, l.value
        FROM (SELECT line ->> 'kind' AS kind, sha256(convert_to((line -> 'key')::text, 'UTF8')) AS digest,
                ARRAY(SELECT jsonb_array_elements_text(line -> 'key')) AS key, (line ->> 'sequence')::bigint AS sequence,
                nullif(line -> 'value', 'null') AS value, at
            FROM jsonb_array_elements(lines) WITH ORDINALITY AS each(line, at)) AS l
        ORDER BY l.kind, l.digest, l.sequence DESC, l.at DESC
        ON CONFLICT (gateway, kind, digest) DO UPDATE SET incarnation = excluded.incarnation, sequence = excluded.sequence, cut = excluded.cut,
                value = excluded.value, changed_at = now()
            WHERE (known.incarnation, known.sequence) < (excluded.incarnation, excluded.sequence);
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END $$;

-- A gateway was seen, for those that change nothing else of its row: once in a minute at most.
CREATE OR REPLACE FUNCTION alluvium.saw(g alluvium.gateways, api_version integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alluvium.gateways SET api = api_version, seen_at = now()
        WHERE gateway = g.gateway AND (seen_at IS NULL OR seen_at < now() - interval '1 minute' OR api IS DISTINCT FROM api_version);
END $$;
