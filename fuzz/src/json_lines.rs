//! JSON lines as they are imported. See `imports` for what must hold.

use alluvium_server::internals::Form;

/// One input: a file.
pub fn run(data: &[u8]) {
    crate::imports::check(Form::JsonLines, data);
}
