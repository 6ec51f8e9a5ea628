-- Makes the monthly partitions of segments that are not there yet, from one month up to another. Rows of such a month that lie in the default
-- partition move.
CREATE OR REPLACE FUNCTION alluvium.make_partitions(first_month date, last_month date) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, alluvium, pg_temp AS $$
DECLARE
    first_day date;
    part text;
    made integer := 0;
BEGIN
    FOR first_day IN SELECT generate_series(first_month, last_month, interval '1 month')::date LOOP
        part := 'segments_' || to_char(first_day, 'YYYY_MM');
        CONTINUE WHEN to_regclass('alluvium.' || part) IS NOT NULL;
        EXECUTE format('CREATE TABLE alluvium.%I (LIKE alluvium.segments INCLUDING DEFAULTS)', part);
        EXECUTE format('WITH moved AS (DELETE FROM alluvium.segments_default WHERE month = %L RETURNING *) '
            'INSERT INTO alluvium.%I SELECT * FROM moved', first_day, part);
        EXECUTE format('ALTER TABLE alluvium.segments ATTACH PARTITION alluvium.%I FOR VALUES FROM (%L) TO (%L)',
            part, first_day, (first_day + interval '1 month')::date);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
