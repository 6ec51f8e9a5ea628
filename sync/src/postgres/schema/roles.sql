-- Who may do what: after everything else, each time.

-- What all gateways log in as, without a password until one is given. Roles are of the whole cluster, so that another database may just have made it.
DO $$
BEGIN
    IF to_regrole('alluvium_gateway') IS NULL THEN
        CREATE ROLE alluvium_gateway LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
        ALTER ROLE alluvium_gateway SET statement_timeout = '60s';
        ALTER ROLE alluvium_gateway SET idle_in_transaction_session_timeout = '60s';
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

REVOKE ALL ON SCHEMA alluvium, alluvium_v1 FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA alluvium FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA alluvium, alluvium_v1 FROM PUBLIC;
GRANT USAGE ON SCHEMA alluvium_v1 TO alluvium_gateway;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA alluvium_v1 TO alluvium_gateway;

-- The database is the centre's own: nobody else makes anything in it. Who is not its owner cannot say so; status tells what a gateway could do then.
DO $$
BEGIN
    EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END $$;
DO $$
BEGIN
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
EXCEPTION WHEN insufficient_privilege OR invalid_schema_name THEN
    NULL;
END $$;
