-- Version 1 of what gateways call. Every function knows the gateway by name and secret, takes everything else for hostile, is one transaction, and
-- answers JSON. SQLSTATE ZAL01: unknown gateway or wrong secret; ZAL02 and class 22: the input is wrong, and nothing was changed.
-- They run as their owner, and look names up nowhere but in the system and in the schema that nobody else can write to.

-- The head: {"head": null or {"incarnation", "order", "cut", "hash", "through", "sealed_at", "audit"}}.
CREATE OR REPLACE FUNCTION alluvium_v1.head(gateway text, secret text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
BEGIN
    RETURN json_build_object('head', alluvium.head_of(alluvium.enter_to_read(gateway, secret)));
END $$;

-- Registers a manifest, which has to follow the head or to fork from a cut that is known. {"status": "advanced", "order"} where it is the head now;
-- else nothing changed: {"status", "head"} with "already", "conflict", "behind" (cuts before it are not here), or "unknown_previous".
CREATE OR REPLACE FUNCTION alluvium_v1.advance(gateway text, secret text, hash text, manifest text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    g alluvium.gateways := alluvium.enter(gateway, secret);
    m jsonb;
    own integer;
    given bytea;
    status text;
BEGIN
    IF NOT coalesce(octet_length(manifest) <= 67108864, false) OR NOT alluvium.is_hex(hash, 64) THEN
        PERFORM alluvium.refuse('a manifest has 64 MiB at most, and a hash of 64 hexadecimal digits');
    END IF;
    m := manifest::jsonb;
    given := decode(hash, 'hex');
    status := coalesce(alluvium.wrong_manifest(m, g.name), alluvium.wrong_tables(m -> 'tables'),
        alluvium.wrong_units(m -> 'units', m -> 'tables', (m ->> 'after')::bigint, (m ->> 'through')::bigint),
        alluvium.wrong_erasures(m -> 'erasures', (m ->> 'after')::bigint, (m ->> 'through')::bigint),
        alluvium.wrong_gaps(m -> 'gaps'), alluvium.wrong_delta(nullif(m -> 'metadata', 'null')));
    IF status IS NOT NULL THEN
        PERFORM alluvium.refuse(status);
    END IF;
    own := g.head_order;
    IF (m ->> 'incarnation' = encode(g.head_incarnation, 'hex') AND (m ->> 'cut')::bigint = g.head_cut + 1
        AND m -> 'previous' ->> 'incarnation' = m ->> 'incarnation' AND m -> 'previous' ->> 'hash' = encode(g.head_hash, 'hex')
        AND (m ->> 'after')::bigint = g.head_through) IS NOT TRUE
    THEN
        status := alluvium.place(g, m, given);
        IF status IS NOT NULL THEN
            RETURN json_build_object('status', status, 'head', alluvium.head_of(g));
        END IF;
        own := (SELECT max(i.number) FROM alluvium.incarnations i WHERE i.gateway = g.gateway);
    END IF;
    PERFORM alluvium.put_cut(g, own, m, given, 1);
    PERFORM alluvium.put_content(g.gateway, own, m);
    RETURN json_build_object('status', 'advanced', 'order', own);
END $$;

-- Registers confirmed segments, a list of {"table", "name", "period", "incarnation", "records", "hash", "rows", "bytes", "first", "last", "target"}.
-- {"registered", "known", "unannounced"}: how many are new, how many were known, and the places in the list, from 0, of those whose last
-- record is of no cut that is known, which are not taken.
CREATE OR REPLACE FUNCTION alluvium_v1.hold(gateway text, secret text, segments text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    g alluvium.gateways := alluvium.enter(gateway, secret);
    list jsonb;
    why text;
    each record;
    registered integer := 0;
    unannounced integer[] := '{}';
    gateway_part text := alluvium.escaped(g.name);
BEGIN
    IF NOT coalesce(octet_length(segments) <= 67108864, false) THEN
        PERFORM alluvium.refuse('segments have 64 MiB at most');
    END IF;
    list := segments::jsonb;
    why := alluvium.wrong_segments(list);
    IF why IS NOT NULL THEN
        PERFORM alluvium.refuse(why);
    END IF;
    FOR each IN
        SELECT s.segment, s.at, i.number,
            coalesce((s.segment -> 'records' ->> 1)::bigint > (SELECT c.after_record FROM alluvium.cuts c
                    WHERE c.gateway = g.gateway AND c.incarnation = i.number ORDER BY c.cut LIMIT 1)
                AND (s.segment -> 'records' ->> 1)::bigint <= (SELECT c.through_record FROM alluvium.cuts c
                    WHERE c.gateway = g.gateway AND c.incarnation = i.number ORDER BY c.cut DESC LIMIT 1), false) AS announced
        FROM jsonb_array_elements(list) WITH ORDINALITY AS s(segment, at)
        LEFT JOIN alluvium.incarnations i ON i.gateway = g.gateway AND i.incarnation = decode(s.segment ->> 'incarnation', 'hex')
        ORDER BY s.at
    LOOP
        IF NOT each.announced THEN
            unannounced := unannounced || each.at::integer - 1;
        ELSIF alluvium.put_segment(g.gateway, each.number, each.segment, gateway_part) THEN
            registered := registered + 1;
        END IF;
    END LOOP;
    PERFORM alluvium.saw(g, 1);
    RETURN json_build_object('registered', registered, 'known', jsonb_array_length(list) - registered - cardinality(unannounced),
        'unannounced', unannounced);
END $$;

-- Lines of the metadata that travelled with a cut, as a list; `complete` with the last of them. {"status": "applied", "newer"}: how many were newer than
-- what was known; {"status": "unknown_cut"}: nothing was changed.
CREATE OR REPLACE FUNCTION alluvium_v1.metadata(gateway text, secret text, incarnation text, cut bigint, lines text, complete boolean) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    g alluvium.gateways := alluvium.enter(gateway, secret);
    list jsonb;
    why text;
    known record;
    newer bigint;
BEGIN
    IF NOT coalesce(octet_length(lines) <= 67108864, false) OR NOT alluvium.is_hex(incarnation, 32) OR cut IS NULL OR complete IS NULL THEN
        PERFORM alluvium.refuse('lines have 64 MiB at most and are of a cut, and an incarnation has 32 hexadecimal digits');
    END IF;
    list := lines::jsonb;
    why := alluvium.wrong_lines(list);
    IF why IS NOT NULL THEN
        PERFORM alluvium.refuse(why);
    END IF;
    SELECT i.number, c.metadata_after INTO known FROM alluvium.incarnations i
        JOIN alluvium.cuts c ON c.gateway = i.gateway AND c.incarnation = i.number AND c.cut = metadata.cut
        WHERE i.gateway = g.gateway AND i.incarnation = decode(metadata.incarnation, 'hex') AND c.metadata_hash IS NOT NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('status', 'unknown_cut');
    END IF;
    newer := alluvium.put_lines(g.gateway, known.number, cut, list);
    IF complete THEN
        UPDATE alluvium.cuts c SET metadata_there = true
            WHERE c.gateway = g.gateway AND c.incarnation = known.number AND c.cut = metadata.cut AND NOT c.metadata_there;
        IF known.metadata_after = 0 THEN
            UPDATE alluvium.incarnations i SET metadata_whole = true
                WHERE i.gateway = g.gateway AND i.number = known.number AND NOT i.metadata_whole;
        END IF;
    END IF;
    PERFORM alluvium.saw(g, 1);
    RETURN json_build_object('status', 'applied', 'newer', newer);
END $$;

-- The cuts of the branch from one on, 10000 at most: a list of {"incarnation", "cut", "hash", "after", "through", "metadata"}.
CREATE OR REPLACE FUNCTION alluvium_v1.cuts(gateway text, secret text, from_cut bigint, most integer) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    g alluvium.gateways := alluvium.enter_to_read(gateway, secret);
BEGIN
    RETURN (SELECT coalesce(json_agg(json_build_object('incarnation', encode(c.incarnation, 'hex'), 'cut', c.cut, 'hash', encode(c.hash, 'hex'),
            'after', c.after_record, 'through', c.through_record, 'metadata', c.metadata_there) ORDER BY c.cut), '[]')
        FROM (SELECT i.incarnation, k.cut, k.hash, k.after_record, k.through_record, k.metadata_there
            FROM alluvium.incarnations i JOIN alluvium.cuts k ON k.gateway = i.gateway AND k.incarnation = i.number
            WHERE i.gateway = g.gateway AND k.cut >= from_cut AND (i.branch_cut IS NULL OR k.cut <= i.branch_cut)
            ORDER BY k.cut LIMIT least(greatest(most, 0), 10000)) AS c);
END $$;

-- Registered segments behind one, in the order in which they were registered, 10000 at most: a list of {"id", "key", "target", "bytes"}.
CREATE OR REPLACE FUNCTION alluvium_v1.segments(gateway text, secret text, after_id bigint, most integer) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    g alluvium.gateways := alluvium.enter_to_read(gateway, secret);
BEGIN
    RETURN (SELECT coalesce(json_agg(json_build_object('id', s.id, 'key', s.key, 'target', s.target, 'bytes', s.bytes) ORDER BY s.id), '[]')
        FROM (SELECT x.id, x.key, x.target, x.bytes FROM alluvium.segments x
            WHERE x.gateway = g.gateway AND x.id > after_id
            ORDER BY x.id LIMIT least(greatest(most, 0), 10000)) AS s);
END $$;

-- Units of the branch that no segment holds and no cut states to be gone, from a cut on, 10000 at most: a list of {"incarnation", "cut", "table", "period",
-- "records"}.
CREATE OR REPLACE FUNCTION alluvium_v1.missing(gateway text, secret text, from_cut bigint, most integer) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    g alluvium.gateways := alluvium.enter_to_read(gateway, secret);
BEGIN
    RETURN (SELECT coalesce(json_agg(json_build_object('incarnation', encode(i.incarnation, 'hex'), 'cut', u.cut, 'table', u.table_number,
            'period', u.period, 'records', json_build_array(u.first_record, u.last_record))
            ORDER BY u.cut, u.table_number, u.period, u.first_record, u.last_record), '[]')
        FROM (SELECT x.* FROM alluvium.missing x WHERE x.gateway = g.gateway AND x.cut >= from_cut AND NOT x.stated
            ORDER BY x.cut, x.table_number, x.period, x.first_record, x.last_record LIMIT least(greatest(most, 0), 10000)) AS u
        JOIN alluvium.incarnations i ON i.gateway = u.gateway AND i.number = u.incarnation);
END $$;
