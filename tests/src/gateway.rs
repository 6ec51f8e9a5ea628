//! A served database, and tokens for it.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::succeed;
use crate::http::ask_json;
use crate::served::Served;

/// A served database with tokens of an admin `eve`, a reader `bob`, and a device `pump-7`.
#[derive(Debug)]
pub struct Gateway {
    /// Its directory.
    pub dir: TempDir,
    /// The server.
    pub served: Served,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// The token of the admin.
    pub admin: String,
    /// The token of the reader.
    pub reader: String,
    /// The token of the device.
    pub device: String,
}

impl Default for Gateway {
    fn default() -> Self {
        Gateway::new()
    }
}

impl Gateway {
    /// One that serves.
    pub fn new() -> Gateway {
        let dir = tempfile::tempdir().expect("a directory");
        let token = |name: &str, role: &str| {
            succeed(dir.path(), ["user", "add", name, "--role", role]);
            succeed(dir.path(), ["token", "issue", name]).trim().to_owned()
        };
        let (admin, reader, device) = (token("eve", "admin"), token("bob", "reader"), token("pump-7", "device"));
        let served = Served::start(dir.path(), &["--gateway", "gateway-1"]);
        let http = served.http.expect("HTTP is served");
        Gateway { dir, served, http, admin, reader, device }
    }

    /// As the admin.
    pub fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        ask_json(self.http, &self.admin, method, path, &body)
    }

    /// The same, with this status.
    pub fn done(&self, status: u16, method: &str, path: &str, body: Value) -> Value {
        let (found, answer) = self.ask(method, path, body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        answer
    }

    /// A token of somebody new with these grants.
    pub fn token(&self, name: &str, grants: &[&str]) -> String {
        self.done(200, "PUT", &format!("/principals/{name}"), serde_json::json!({ "grants": grants }));
        let issued = self.done(201, "POST", "/tokens", serde_json::json!({ "principal": name, "label": "test" }));
        issued["token"].as_str().expect("a token").to_owned()
    }

    /// Ends it well; what it leaves is sound.
    pub fn end(self) -> TempDir {
        assert!(self.served.end().success());
        succeed(self.dir.path(), ["verify"]);
        self.dir
    }
}
