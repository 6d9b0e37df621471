//! Options that take one of a few names.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Reads the name of one of `all`, which help lists with what `about` says of each, if anything.
pub fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
    about: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let listed = all.iter().map(move |value| {
        let named = PossibleValue::new(name(*value));
        match about(*value) {
            "" => named,
            about => named.help(about),
        }
    });
    PossibleValuesParser::new(listed).try_map(move |given| {
        let named = all.iter().copied().find(|value| name(*value) == given);
        named.ok_or("no such name")
    })
}
