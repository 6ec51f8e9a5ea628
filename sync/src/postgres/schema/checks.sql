-- Checks of what gateways say. Each tells what is wrong in words, or null. Whatever is of a wrong type or range fails in a cast, with an SQLSTATE of
-- class 22, which clients take for the same. The longer ones are PL/pgSQL, which plans once for a session; the short ones become part of these plans.

-- Ends the transaction because of what a gateway said.
CREATE OR REPLACE FUNCTION alluvium.refuse(why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'ZAL02', MESSAGE = why;
END $$;

-- A text without control characters, not empty, of so many bytes at most.
CREATE OR REPLACE FUNCTION alluvium.is_name(name text, most integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT name IS NOT NULL AND octet_length(name) BETWEEN 1 AND most AND name !~ '[\u0001-\u001f\u007f-\u009f]'
$$;

CREATE OR REPLACE FUNCTION alluvium.is_hex(digits text, many integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT digits IS NOT NULL AND octet_length(digits) = many AND digits ~ '^[0-9a-f]*$'
$$;

CREATE OR REPLACE FUNCTION alluvium.is_number(number bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT number IS NOT NULL AND number >= 0
$$;

CREATE OR REPLACE FUNCTION alluvium.is_table(number bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT number IS NOT NULL AND number BETWEEN 0 AND 4294967295
$$;

-- RFC 3339 and nothing else: a cast would take "now" and "infinity" too. Of years whose last hours are of four digits in every offset, so that whoever reads
-- them back, of all gateways, can.
CREATE OR REPLACE FUNCTION alluvium.is_moment(moment text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT moment IS NOT NULL
        AND moment ~ '^(?!000[01]|9999)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$'
$$;

CREATE OR REPLACE FUNCTION alluvium.is_period(period text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT period IS NOT NULL AND period ~ '^(hour|day|month|year)(0|-?[1-9][0-9]{0,18})$'
$$;

CREATE OR REPLACE FUNCTION alluvium.is_list(list jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(list) = 'array' THEN jsonb_array_length(list) <= 500000 ELSE false END
$$;

-- Two numbers, the first of which is not the larger one.
CREATE OR REPLACE FUNCTION alluvium.is_range(range jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(range) = 'array' AND jsonb_array_length(range) = 2
        THEN coalesce((range ->> 0)::bigint <= (range ->> 1)::bigint, false) ELSE false END
$$;

CREATE OR REPLACE FUNCTION alluvium.wrong_tables(tables jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN NOT alluvium.is_list(tables) THEN 'its tables are no list'
        WHEN (SELECT NOT bool_and(alluvium.is_table(t."table") AND alluvium.is_name(t.name, 1024) AND t.unit IN ('ms', 'us', 'ns')
                AND t.unit IS NOT NULL AND coalesce(t.dropped IN ('true', 'false'), false))
            FROM jsonb_to_recordset(tables) AS t("table" bigint, name text, unit text, dropped jsonb))
            THEN 'a table has no number, name, unit or state that there can be'
    END;
END $$;

CREATE OR REPLACE FUNCTION alluvium.wrong_units(units jsonb, tables jsonb, after bigint, through bigint) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN NOT alluvium.is_list(units) THEN 'its units are no list'
        WHEN (SELECT NOT bool_and(alluvium.is_table(u."table") AND alluvium.is_period(u.period) AND coalesce(u.rows > 0 AND u.first <= u.last, false)
                AND CASE WHEN alluvium.is_range(u.records) THEN (u.records ->> 0)::bigint > 0 ELSE false END)
            FROM jsonb_to_recordset(units) AS u("table" bigint, period text, records jsonb, rows bigint, first bigint, last bigint))
            THEN 'a unit is of no period or records, has no rows, or ends before it begins'
        WHEN (SELECT NOT bool_and((u.records ->> 1)::bigint > after AND (u.records ->> 1)::bigint <= through) FROM jsonb_to_recordset(units) AS u(records jsonb))
            THEN 'a unit is of another cut'
        WHEN EXISTS (SELECT u."table" FROM jsonb_to_recordset(units) AS u("table" bigint)
            EXCEPT SELECT t."table" FROM jsonb_to_recordset(tables) AS t("table" bigint))
            THEN 'a unit is of a table that it does not name'
    END;
END $$;

CREATE OR REPLACE FUNCTION alluvium.wrong_erasures(erasures jsonb, after bigint, through bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- As in most manifests.
    IF erasures = '[]' THEN RETURN NULL; END IF;
    RETURN CASE
        WHEN NOT alluvium.is_list(erasures) THEN 'its erasures are no list'
        WHEN (SELECT NOT bool_and(alluvium.is_table(e."table") AND coalesce(e.sequence > after AND e.sequence <= through AND e."from" < e."to", false)
                AND CASE jsonb_typeof(e.series) WHEN 'string' THEN e.series = '"all"' WHEN 'object' THEN alluvium.is_list(e.series -> 'only') ELSE false END)
            FROM jsonb_to_recordset(erasures) AS e(sequence bigint, "table" bigint, series jsonb, "from" bigint, "to" bigint))
            THEN 'an erasure is of another cut, of no time or of no series'
    END;
END $$;

CREATE OR REPLACE FUNCTION alluvium.wrong_gaps(gaps jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- As in most manifests.
    IF gaps = '[]' THEN RETURN NULL; END IF;
    RETURN CASE
        WHEN NOT alluvium.is_list(gaps) THEN 'its gaps are no list'
        WHEN (SELECT NOT bool_and(alluvium.is_moment(g.at) AND alluvium.is_name(g.kind, 64) AND g.detail IS NOT NULL AND octet_length(g.detail) <= 65536
                AND (g."table" IS NULL OR alluvium.is_table(g."table"))
                AND (g.sequences IS NULL OR alluvium.is_range(g.sequences) AND (g.sequences ->> 0)::bigint >= 0)
                AND (g.times IS NULL OR alluvium.is_range(g.times)))
            FROM jsonb_to_recordset(gaps) AS g(at text, kind text, sequences jsonb, "table" bigint, times jsonb, detail text))
            THEN 'a gap ends before it begins, or says nothing that there can be'
    END;
END $$;

-- Of the metadata that a cut names.
CREATE OR REPLACE FUNCTION alluvium.wrong_delta(delta jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN delta IS NULL THEN NULL
        WHEN jsonb_typeof(delta) <> 'object' OR NOT alluvium.is_hex(delta ->> 'hash', 64) OR NOT alluvium.is_moment(delta ->> 'at')
            OR NOT alluvium.is_number((delta ->> 'bytes')::bigint) OR NOT alluvium.is_number((delta ->> 'keys')::bigint)
            OR NOT alluvium.is_number((delta ->> 'after')::bigint)
            OR NOT coalesce((delta ->> 'after')::bigint < (delta ->> 'through')::bigint, false)
            THEN 'its metadata are of no record, or not described'
    END;
END $$;

-- Of a manifest as a whole: who and where it says it is.
CREATE OR REPLACE FUNCTION alluvium.wrong_manifest(m jsonb, name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN jsonb_typeof(m) IS DISTINCT FROM 'object' THEN 'a manifest is an object'
        WHEN m ->> 'format' IS DISTINCT FROM 'alluvium-manifest/1' THEN 'it says that it is of another format than alluvium-manifest/1'
        WHEN m ->> 'gateway' IS DISTINCT FROM name THEN 'it is of another gateway'
        WHEN NOT alluvium.is_hex(m ->> 'incarnation', 32) THEN 'its incarnation is not 32 hexadecimal digits'
        WHEN NOT coalesce((m ->> 'cut')::bigint > 0, false) THEN 'the first cut is number 1'
        WHEN (coalesce(m -> 'previous', 'null') = 'null') <> ((m ->> 'cut')::bigint = 1)
            THEN 'every cut but the first, and that never, has one before it'
        WHEN (m ->> 'cut')::bigint > 1
            AND NOT (alluvium.is_hex(m -> 'previous' ->> 'incarnation', 32) AND alluvium.is_hex(m -> 'previous' ->> 'hash', 64))
            THEN 'the cut before it is not told'
        WHEN NOT (alluvium.is_number((m ->> 'after')::bigint) AND coalesce((m ->> 'after')::bigint < (m ->> 'through')::bigint, false))
            THEN 'it holds no record'
        WHEN (m ->> 'cut')::bigint = 1 AND (m ->> 'after')::bigint <> 0 THEN 'the first cut begins at the first record'
        WHEN NOT alluvium.is_moment(m ->> 'sealed_at') THEN 'when it was sealed is not told'
        WHEN coalesce(m -> 'audit', 'null') <> 'null'
            AND NOT (alluvium.is_number((m -> 'audit' ->> 'number')::bigint) AND alluvium.is_hex(m -> 'audit' ->> 'hash', 64))
            THEN 'the end of its audit trail is not told'
    END;
END $$;

-- Of segments that a gateway holds to be confirmed.
CREATE OR REPLACE FUNCTION alluvium.wrong_segments(segments jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN NOT alluvium.is_list(segments) OR jsonb_array_length(segments) > 10000 THEN 'segments are a list of 10000 at most'
        WHEN (SELECT NOT bool_and(alluvium.is_table(s."table") AND alluvium.is_name(s.name, 1024) AND alluvium.is_period(s.period)
                AND alluvium.is_hex(s.incarnation, 32) AND alluvium.is_hex(s.hash, 64) AND alluvium.is_name(s.target, 255)
                AND CASE WHEN alluvium.is_range(s.records) THEN (s.records ->> 0)::bigint > 0 ELSE false END
                AND coalesce(s.rows >= 0 AND s.bytes > 0 AND s.first <= s.last, false))
            FROM jsonb_to_recordset(segments) AS s("table" bigint, name text, period text, incarnation text, records jsonb, hash text,
                rows bigint, bytes bigint, first bigint, last bigint, target text))
            THEN 'a segment has no table, period, records, hash or target that there can be'
    END;
END $$;

-- Of lines of metadata.
CREATE OR REPLACE FUNCTION alluvium.wrong_lines(lines jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN NOT alluvium.is_list(lines) OR jsonb_array_length(lines) > 100000 THEN 'lines of metadata are a list of 100000 at most'
        WHEN (SELECT NOT bool_and(coalesce(l.sequence > 0, false) AND coalesce(l.kind ~ '^[a-z][a-z_]{0,31}$', false) AND l.has_value
                AND CASE WHEN alluvium.is_list(l.key) AND jsonb_array_length(l.key) BETWEEN 1 AND 64 AND octet_length(l.key::text) <= 65536
                    THEN NOT jsonb_path_exists(l.key, 'strict $[*] ? (@.type() != "string")') ELSE false END
                AND (l.kind NOT IN ('table', 'series') OR coalesce(l.key ->> 0 ~ '^(0|[1-9][0-9]{0,9})$', false)))
            FROM (SELECT (line ->> 'sequence')::bigint AS sequence, line ->> 'kind' AS kind, line -> 'key' AS key, coalesce(line ? 'value', false) AS has_value
                FROM jsonb_array_elements(lines) AS line) AS l)
            THEN 'a line of metadata has no sequence, kind, key or value that there can be'
    END;
END $$;
