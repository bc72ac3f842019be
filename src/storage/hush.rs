//! Calling code that may panic over a file that is not what it wrote, without the trace
//! that a panic prints: an operator reads what is wrong with the file instead.
//!
//! Other panics are told as before, whoever asks to have them told how.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_HUSHED: Cell<bool> = const { Cell::new(false) };
}

/// It panicked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Panicked;

/// Does something that may panic.
pub(super) fn hushed<T>(what: impl FnOnce() -> T) -> Result<T, Panicked> {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| match IS_HUSHED.get() {
            true => tracing::debug!(%panicked, "the store gave up"),
            false => usual(panicked),
        }));
    });
    let was_hushed = IS_HUSHED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(what));
    IS_HUSHED.set(was_hushed);
    done.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        assert_eq!(hushed(|| 1), Ok(1));
        let nothing: Vec<u8> = Vec::new();
        assert_eq!(hushed(|| nothing[0]), Err(Panicked));
        assert!(!IS_HUSHED.get(), "what comes later is told");
    }
}
