//! A fence around decoders of others: what they panic over is bytes that we must be able to refuse.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static FENCES: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic of this thread, now, ends in an error of the engine. A program's panic hook may then keep silent:
///
/// ```
/// let tell = std::panic::take_hook();
/// std::panic::set_hook(Box::new(move |panic| {
///     if !alluvium::is_fenced() {
///         tell(panic);
///     }
/// }));
/// ```
pub fn is_fenced() -> bool {
    FENCES.get() > 0
}

/// Runs a decoder, and answers what it panicked with if it did. Whatever it was working on is to be dropped then.
pub fn fence<T>(decode: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    FENCES.set(FENCES.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    FENCES.set(FENCES.get() - 1);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_the_fence_taken_down() {
        assert!(!is_fenced());
        let nested = fence(|| (is_fenced(), fence(|| -> u32 { std::panic::panic_any(7_u32) }).is_err(), is_fenced()));
        assert_eq!(nested.ok(), Some((true, true, true)));
        assert!(!is_fenced());
    }
}
