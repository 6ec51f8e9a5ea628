//! What the gateways' login may do: call functions.

use tokio_postgres::{Client, NoTls};

use crate::support::{Centre, Device, PASSWORD, server};

async fn login(centre: &Centre) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server().port).user("alluvium_gateway").password(PASSWORD).dbname(&centre.database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn the_login_has_no_tables_and_makes_nothing() {
    let centre = Centre::new().await;
    let client = login(&centre).await;
    let rows = centre
        .sql
        .query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'alluvium'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')",
            &[],
        )
        .await
        .unwrap();
    assert!(rows.len() > 20);
    let mut refused: Vec<String> = Vec::new();
    for row in rows {
        let name: &str = row.get(0);
        refused.push(format!("SELECT * FROM alluvium.{name}"));
        refused.push(format!("DELETE FROM alluvium.{name}"));
        refused.push(format!("DROP TABLE alluvium.{name}"));
    }
    let others = [
        "SELECT alluvium.enter('a', 'b')",
        "SELECT alluvium.make_partitions('0001-01-01', '9999-01-01')",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION alluvium_v1.head(text, text) RETURNS json LANGUAGE sql AS 'SELECT NULL::json'",
        "CREATE FUNCTION alluvium_v1.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE owner",
        "ALTER ROLE owner PASSWORD 'x'",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "ALTER SYSTEM SET fsync = off",
        "COPY (SELECT 1) TO '/tmp/mine'",
        "CREATE EXTENSION dblink",
        "LISTEN x; SELECT pg_read_file('/etc/passwd')",
        "GRANT alluvium_gateway TO owner WITH ADMIN OPTION",
        "SELECT lo_export(1, '/tmp/mine')",
    ];
    refused.extend(others.map(str::to_owned));
    for statement in refused {
        let error = client.batch_execute(&statement).await.expect_err(&statement);
        let code = error.code().unwrap_or_else(|| panic!("{statement}: {error}")).code();
        // Not allowed, wherever it looked.
        assert!(["42501", "42883"].contains(&code), "{statement}: {code} {error:?}");
    }
}

#[tokio::test]
async fn names_are_not_looked_up_where_others_write() {
    let centre = Centre::new().await;
    let secret = centre.owner.provision("a").await.unwrap();
    // Somebody else lets everybody write somewhere, which shall not matter.
    let trap = "CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO PUBLIC;";
    centre.sql.batch_execute(trap).await.unwrap();
    let client = login(&centre).await;
    let functions = "CREATE FUNCTION trap.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
        CREATE FUNCTION trap.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 1/0';
        CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
        CREATE TABLE trap.gateways (name text); SET search_path = trap, pg_catalog";
    client.batch_execute(functions).await.unwrap();
    let mut device = Device::new("a");
    let bytes = String::from_utf8(device.step()).unwrap();
    let statement = "SELECT alluvium_v1.advance('a', $1, repeat('ab', 32), $2)::text";
    let text = tokio_postgres::types::Type::TEXT;
    let row = client.query_typed_one(statement, &[(&secret.expose(), text.clone()), (&bytes, text)]).await.unwrap();
    assert!(row.get::<_, &str>(0).contains("advanced"));
}

#[tokio::test]
async fn what_is_answered_is_durable_whatever_the_session_says() {
    let centre = Centre::new().await;
    let secret = centre.owner.provision("a").await.unwrap();
    let client = login(&centre).await;
    client.batch_execute("SET synchronous_commit = off; BEGIN").await.unwrap();
    let mut device = Device::new("a");
    let bytes = String::from_utf8(device.step()).unwrap();
    let (statement, text) =
        ("SELECT alluvium_v1.advance('a', $1, repeat('ab', 32), $2)::text", tokio_postgres::types::Type::TEXT);
    client.query_typed_one(statement, &[(&secret.expose(), text.clone()), (&bytes, text)]).await.unwrap();
    let setting: String = client.query_one("SHOW synchronous_commit", &[]).await.unwrap().get(0);
    assert_eq!(setting, "on");
    client.batch_execute("COMMIT").await.unwrap();
}
