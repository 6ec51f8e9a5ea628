//! The SQL of the centre.

/// Tables: what was released never changes, what is wrong is put right by the next one.
pub(super) struct Migration {
    pub(super) number: i32,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

pub(super) const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: "tables", sql: include_str!("schema/001_tables.sql") }];

/// Functions and views, put in anew each time, in this order.
pub(super) const REPLACED: &[&str] = &[
    include_str!("schema/periods.sql"),
    include_str!("schema/checks.sql"),
    include_str!("schema/partitions.sql"),
    include_str!("schema/register.sql"),
    include_str!("schema/views.sql"),
];

/// Versions of the functions that gateways call: the newest, and the one before while gateways still call it.
pub(super) const APIS: &[(u32, &str)] = &[(1, include_str!("schema/v1.sql"))];

/// Who may do what.
pub(super) const ROLES: &str = include_str!("schema/roles.sql");

/// How everything is, as JSON.
pub(super) const STATUS: &str = include_str!("schema/status.sql");

/// Of versions that a database has, those that are dropped: two stay alive, so that the centre may be migrated before its gateways.
pub(super) fn obsolete(there: &[u32], newest: u32) -> Vec<u32> {
    there.iter().copied().filter(|version| version + 1 < newest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_are_kept() {
        assert_eq!(obsolete(&[1], 1), [0; 0]);
        assert_eq!(obsolete(&[1, 2], 2), [0; 0]);
        assert_eq!(obsolete(&[1, 2, 3], 3), [1]);
        assert_eq!(obsolete(&[1, 2, 3, 4], 4), [1, 2]);
        // A later release was here.
        assert_eq!(obsolete(&[1, 2], 1), [0; 0]);
    }

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        assert!(MIGRATIONS.iter().zip(1..).all(|(migration, number)| migration.number == number));
        assert_eq!(APIS.iter().map(|(version, _)| *version).max(), Some(super::super::API));
    }

    #[test]
    fn what_gateways_call_runs_as_the_owner_and_looks_names_up_nowhere_else() {
        for (version, sql) in APIS {
            let functions = sql.matches("CREATE OR REPLACE FUNCTION").count();
            let pinned = sql.matches("SECURITY DEFINER SET search_path = pg_catalog, alluvium, pg_temp AS").count();
            assert_eq!(functions, pinned, "version {version}");
        }
    }
}
