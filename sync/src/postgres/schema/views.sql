-- What an operator asks. All of it is of the branch: the head, and the cuts that it follows.

-- Units that no segment holds. `stated`: their own cut or a later one of the branch says that they are gone, by a gap or with their table.
CREATE OR REPLACE VIEW alluvium.missing AS
SELECT g.name AS gateway_name, u.gateway, u.incarnation, u.cut, u.table_number, u.period_kind, u.period_start,
    alluvium.period_text(u.period_kind, u.period_start) AS period, u.first_record, u.last_record, u.rows, u.first_time, u.last_time,
    EXISTS (SELECT FROM alluvium.gaps x
        JOIN alluvium.incarnations i ON i.gateway = x.gateway AND i.number = x.incarnation AND (i.branch_cut IS NULL OR x.cut <= i.branch_cut)
        WHERE x.gateway = u.gateway AND x.cut >= u.cut AND x.first_record <= u.first_record AND u.last_record <= x.last_record
            AND (x.table_number IS NULL OR x.table_number = u.table_number)
            AND (x.first_time IS NULL OR x.first_time <= u.first_time AND u.last_time <= x.last_time))
    OR EXISTS (SELECT FROM alluvium.drops x
        JOIN alluvium.incarnations i ON i.gateway = x.gateway AND i.number = x.incarnation AND (i.branch_cut IS NULL OR x.cut <= i.branch_cut)
        WHERE x.gateway = u.gateway AND x.cut >= u.cut AND x.table_number = u.table_number AND u.last_record <= x.through_record) AS stated
FROM alluvium.units u
JOIN alluvium.gateways g ON g.gateway = u.gateway
JOIN alluvium.incarnations b ON b.gateway = u.gateway AND b.number = u.incarnation AND (b.branch_cut IS NULL OR u.cut <= b.branch_cut)
WHERE NOT u.held;

-- Cuts whose metadata did not come.
CREATE OR REPLACE VIEW alluvium.missing_metadata AS
SELECT g.name AS gateway_name, c.gateway, c.incarnation, c.cut, c.metadata_hash, c.metadata_keys
FROM alluvium.cuts c
JOIN alluvium.gateways g ON g.gateway = c.gateway
JOIN alluvium.incarnations b ON b.gateway = c.gateway AND b.number = c.incarnation AND (b.branch_cut IS NULL OR c.cut <= b.branch_cut)
WHERE NOT c.metadata_there;

-- The last cut up to which, from the first of all, everything is held or stated to be gone; nulls where that is none.
CREATE OR REPLACE VIEW alluvium.delivered_through AS
WITH open AS (
    SELECT gateway, min(cut) AS cut
    FROM (SELECT gateway, cut FROM alluvium.missing WHERE NOT stated UNION ALL SELECT gateway, cut FROM alluvium.missing_metadata) AS cuts
    GROUP BY gateway)
SELECT g.name AS gateway_name, g.gateway, d.incarnation, d.cut, d.through_record AS record, d.sealed_at
FROM alluvium.gateways g
LEFT JOIN open o ON o.gateway = g.gateway
LEFT JOIN LATERAL (
    SELECT c.incarnation, c.cut, c.through_record, c.sealed_at
    FROM alluvium.incarnations b
    JOIN alluvium.cuts c ON c.gateway = b.gateway AND c.incarnation = b.number AND (b.branch_cut IS NULL OR c.cut <= b.branch_cut)
    WHERE b.gateway = g.gateway AND c.cut = coalesce(o.cut - 1, g.head_cut)) AS d ON true;

-- How far behind the centre is: since when, and by how many cuts.
CREATE OR REPLACE VIEW alluvium.lag AS
SELECT g.name AS gateway_name, g.gateway, g.head_cut, g.head_sealed_at, d.cut AS delivered_through, d.sealed_at AS delivered_sealed_at,
    now() - d.sealed_at AS lag, coalesce(g.head_cut, 0) - coalesce(d.cut, 0) AS cuts_behind, g.seen_at, g.retired_at
FROM alluvium.gateways g
JOIN alluvium.delivered_through d ON d.gateway = g.gateway;

-- The segments to read for a table: each row once in effect. Left out are those within another one of the same place, those of dropped tables, and those of
-- records behind a fork. Of a segment that reaches over a fork, rows of records behind branch_record are another device's.
CREATE OR REPLACE VIEW alluvium.inventory AS
SELECT g.name AS gateway_name, s.gateway, s.incarnation, s.table_number, coalesce(t.name, s.table_name) AS table_name, s.period_kind, s.period_start,
    alluvium.period_text(s.period_kind, s.period_start) AS period, s.month, s.first_record, s.last_record, b.branch_record,
    s.rows, s.bytes, s.first_time, s.last_time, t.unit, s.hash, s.target, s.key, s.registered_at
FROM alluvium.segments s
JOIN alluvium.gateways g ON g.gateway = s.gateway
JOIN alluvium.incarnations b ON b.gateway = s.gateway AND b.number = s.incarnation AND (b.branch_record IS NULL OR s.first_record <= b.branch_record)
LEFT JOIN alluvium.announced_tables t ON t.gateway = s.gateway AND t.table_number = s.table_number
WHERE NOT EXISTS (SELECT FROM alluvium.segments o
        WHERE o.gateway = s.gateway AND o.incarnation = s.incarnation AND o.table_number = s.table_number AND o.target = s.target
            AND o.last_record >= s.last_record AND o.first_record <= s.first_record
            AND alluvium.period_holds(o.period_kind, o.period_start, o.period_end, s.period_kind, s.period_start)
            -- Of two that are of the same records and period the later one is read.
            AND (o.id > s.id OR (o.first_record, o.last_record, o.period_kind) <> (s.first_record, s.last_record, s.period_kind)))
    AND NOT EXISTS (SELECT FROM alluvium.drops x
        JOIN alluvium.incarnations i ON i.gateway = x.gateway AND i.number = x.incarnation AND (i.branch_cut IS NULL OR x.cut <= i.branch_cut)
        WHERE x.gateway = s.gateway AND x.table_number = s.table_number AND s.last_record <= x.through_record);

-- Metadata that hold: neither tombstones nor what an incarnation does not have that sent all there are.
CREATE OR REPLACE VIEW alluvium.current_metadata AS
SELECT g.name AS gateway_name, m.gateway, m.kind, m.key, m.incarnation, m.sequence, m.value, m.changed_at
FROM alluvium.metadata m
JOIN alluvium.gateways g ON g.gateway = m.gateway
WHERE m.value IS NOT NULL
    AND NOT EXISTS (SELECT FROM alluvium.incarnations i WHERE i.gateway = m.gateway AND i.number > m.incarnation AND i.metadata_whole);

-- Tables as announced by cuts, with what metadata say of them.
CREATE OR REPLACE VIEW alluvium.tables AS
SELECT g.name AS gateway_name, t.gateway, t.table_number, t.name, t.unit, t.dropped, t.incarnation, t.cut, m.value AS definition, m.sequence
FROM alluvium.announced_tables t
JOIN alluvium.gateways g ON g.gateway = t.gateway
LEFT JOIN alluvium.current_metadata m ON m.gateway = t.gateway AND m.kind = 'table' AND m.key = ARRAY[t.table_number::text];

-- Series: the first text of the key is the number of the table.
CREATE OR REPLACE VIEW alluvium.series AS
SELECT m.gateway_name, m.gateway, m.key[1]::bigint AS table_number, m.key[2:] AS series, m.value, m.incarnation, m.sequence
FROM alluvium.current_metadata m
WHERE m.kind = 'series';

-- Metadata that do not begin where those sent before end: some were sent with no cut.
CREATE OR REPLACE VIEW alluvium.metadata_between AS
SELECT g.name AS gateway_name, s.gateway, s.incarnation, s.cut, s.before, s.metadata_after
FROM (SELECT c.gateway, c.incarnation, c.cut, c.metadata_after,
        lag(c.metadata_through) OVER (PARTITION BY c.gateway ORDER BY c.cut) AS before
    FROM alluvium.cuts c
    JOIN alluvium.incarnations b ON b.gateway = c.gateway AND b.number = c.incarnation AND (b.branch_cut IS NULL OR c.cut <= b.branch_cut)
    WHERE c.metadata_hash IS NOT NULL) AS s
JOIN alluvium.gateways g ON g.gateway = s.gateway
WHERE s.metadata_after > 0 AND s.metadata_after IS DISTINCT FROM s.before;
