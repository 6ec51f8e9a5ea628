-- How the centre and all gateways are: one JSON object, as src/postgres/status.rs reads it. $1: the name of one gateway, or null for all.
SELECT json_build_object(
    'server_version', current_setting('server_version'),
    'timescale', (SELECT json_build_object('available', e.default_version, 'installed', e.installed_version)
        FROM pg_available_extensions e WHERE e.name = 'timescaledb'),
    'migrations', (SELECT coalesce(json_agg(m.number ORDER BY m.number), '[]') FROM alluvium.migrations m),
    'apis', (SELECT coalesce(json_agg(substring(n.nspname FROM 11)::integer ORDER BY n.nspname), '[]') FROM pg_namespace n
        WHERE n.nspname ~ '^alluvium_v[0-9]{1,4}$'),
    'segments_outside_months', (SELECT count(*) FROM (SELECT FROM alluvium.segments_default LIMIT 100000) AS counted),
    'warnings', (SELECT coalesce(json_agg(w.told), '[]') FROM (
        SELECT 'synchronous_commit is ' || current_setting('synchronous_commit') || ' here: gateways get what they need, others may not' AS told
            WHERE current_setting('synchronous_commit') IN ('off', 'local')
        UNION ALL SELECT 'fsync is off: what was answered may be lost' WHERE current_setting('fsync') = 'off'
        UNION ALL SELECT 'full_page_writes is off: a power cut may damage pages' WHERE current_setting('full_page_writes') = 'off'
        UNION ALL SELECT 'the functions that gateways call belong to a superuser: let a role own them that has no other rights'
            WHERE EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
                WHERE n.nspname ~ '^alluvium_v[0-9]+$' AND r.rolsuper)
        UNION ALL SELECT 'alluvium_gateway is a superuser, or may make roles, databases or replicas'
            FROM pg_roles r WHERE r.rolname = 'alluvium_gateway' AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication)
        UNION ALL SELECT format('alluvium_gateway may make something in schema %I', n.nspname)
            FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\_%' AND has_schema_privilege('alluvium_gateway', n.oid, 'CREATE')
        UNION ALL SELECT 'alluvium_gateway may make temporary tables or schemas'
            WHERE has_database_privilege('alluvium_gateway', current_database(), 'CREATE,TEMPORARY')
        UNION ALL SELECT format('alluvium_gateway has rights on %s', c.oid::regclass)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'alluvium' AND c.relkind IN ('r', 'v', 'p')
                AND has_table_privilege('alluvium_gateway', c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER')) AS w),
    'gateways', (SELECT coalesce(json_agg(json_build_object(
            'name', g.name, 'created_at', alluvium.moment(g.created_at), 'retired_at', alluvium.moment(g.retired_at),
            'api', g.api, 'seen_at', alluvium.moment(g.seen_at), 'head', alluvium.head_of(g),
            'delivered_through', l.delivered_through, 'delivered_sealed_at', alluvium.moment(l.delivered_sealed_at),
            'lag_seconds', extract(epoch FROM l.lag), 'cuts_behind', l.cuts_behind, 'missing', coalesce(m.missing, 0), 'lost', coalesce(m.lost, 0),
            'missing_metadata', coalesce(d.cuts, 0), 'incarnations', coalesce(i.number, 0)) ORDER BY g.name), '[]')
        FROM alluvium.gateways g
        JOIN alluvium.lag l ON l.gateway = g.gateway
        LEFT JOIN (SELECT x.gateway, count(*) FILTER (WHERE NOT x.stated) AS missing, count(*) FILTER (WHERE x.stated) AS lost
            FROM alluvium.missing x GROUP BY x.gateway) AS m ON m.gateway = g.gateway
        LEFT JOIN (SELECT x.gateway, count(*) AS cuts FROM alluvium.missing_metadata x GROUP BY x.gateway) AS d ON d.gateway = g.gateway
        LEFT JOIN (SELECT x.gateway, max(x.number) AS number FROM alluvium.incarnations x GROUP BY x.gateway) AS i ON i.gateway = g.gateway
        WHERE $1::text IS NULL OR g.name = $1))::text
