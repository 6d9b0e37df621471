//! `--device` and `--threads`.

use clap::builder::RangedI64ValueParser;

use crate::config::DeviceChoice;

/// Reads `--device`.
pub fn device_choice(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::try_from(text.to_owned())
}

/// As many threads as a configuration may ask for.
pub fn threads() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=1024)
}
