-- Periods and names as src/remote has them; a test compares both.

CREATE OR REPLACE FUNCTION alluvium.period_kind(period text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE "left"(period, 1) WHEN 'h' THEN 1 WHEN 'd' THEN 2 WHEN 'm' THEN 3 WHEN 'y' THEN 4 END::smallint
$$;

CREATE OR REPLACE FUNCTION alluvium.period_start(period text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ltrim(period, 'hourdaymonthyear')::bigint
$$;

CREATE OR REPLACE FUNCTION alluvium.period_text(kind smallint, begins bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (ARRAY['hour', 'day', 'month', 'year'])[kind] || begins
$$;

-- The UTC date of a second; null where it has none of the years 1 to 9999.
CREATE OR REPLACE FUNCTION alluvium.date_of(second bigint) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN second BETWEEN -62135596800 AND 253402300799 THEN date '1970-01-01' + floor(second / 86400.0)::integer END
$$;

-- The first day of the month of a second; what has no date belongs to the first of all months.
CREATE OR REPLACE FUNCTION alluvium.month_of(second bigint) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(date_trunc('month', alluvium.date_of(second)::timestamp)::date, date '0001-01-01')
$$;

-- The first second behind a period; null where nobody needs its calendar.
CREATE OR REPLACE FUNCTION alluvium.period_end(kind smallint, begins bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    first_day date := alluvium.date_of(begins);
BEGIN
    RETURN CASE
        WHEN kind = 1 AND begins <= 9223372036854772207 THEN begins + 3600
        WHEN kind = 2 AND begins <= 9223372036854689407 THEN begins + 86400
        WHEN kind = 3 AND first_day < date '9999-12-01' THEN begins + 86400 * ((first_day + interval '1 month')::date - first_day)::bigint
        WHEN kind = 4 AND first_day < date '9999-01-01' THEN begins + 86400 * ((first_day + interval '1 year')::date - first_day)::bigint
    END;
END $$;

-- Whether all times of another period are in one. They nest, so that where the other begins tells; what is longer does not fit.
CREATE OR REPLACE FUNCTION alluvium.period_holds(kind smallint, begins bigint, ends bigint, other_kind smallint, other_begins bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (kind = other_kind AND begins = other_begins)
        OR (kind > other_kind AND begins <= other_begins AND coalesce(other_begins < ends, false))
$$;

-- A name within an object's name.
CREATE OR REPLACE FUNCTION alluvium.escaped(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(CASE WHEN chr(byte) ~ '^[A-Za-z0-9_.-]$' AND byte < 128 THEN chr(byte) ELSE '%' || upper(lpad(to_hex(byte), 2, '0')) END, '' ORDER BY at)
    FROM (SELECT at, get_byte(convert_to(name, 'UTF8'), at) AS byte FROM generate_series(0, octet_length(convert_to(name, 'UTF8')) - 1) AS at) AS bytes
$$;

-- A cut or record with twelve digits at least.
CREATE OR REPLACE FUNCTION alluvium.twelve(number bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lpad(number::text, greatest(12, length(number::text)), '0')
$$;

-- The name of a segment's object.
CREATE OR REPLACE FUNCTION alluvium.segment_key(s jsonb, gateway_part text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format('table=%s/date=%s/gw=%s/t%s_%s_%s_%s-%s_%s.parquet', alluvium.escaped(s ->> 'name'),
        coalesce(to_char(alluvium.date_of(alluvium.period_start(s ->> 'period')), 'YYYY-MM-DD'), '__HIVE_DEFAULT_PARTITION__'), gateway_part,
        (s ->> 'table')::bigint, s ->> 'period', s ->> 'incarnation',
        alluvium.twelve((s -> 'records' ->> 0)::bigint), alluvium.twelve((s -> 'records' ->> 1)::bigint), s ->> 'hash')
$$;
