//! What C++ hands back: nothing, or text.

use std::ffi::{CStr, c_char};

/// The text, if there is one.
pub fn text(told: *const c_char) -> Option<String> {
    // SAFETY: nothing, or text that lasts until this thread's next call.
    (!told.is_null()).then(|| unsafe { CStr::from_ptr(told) }.to_string_lossy().into_owned())
}

/// Panics with the text of a failure.
pub fn check(told: *const c_char) {
    if let Some(error) = text(told) {
        panic!("{error}");
    }
}
