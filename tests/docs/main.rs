//! The documentation against the code: what the pages name must be there, and what a configuration
//! can say must be documented.

mod commands;
mod keys;
mod links;
mod pages;
mod rooms;

/// All that is wrong, at once.
fn tell(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
