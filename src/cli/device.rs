//! `--device` and `--threads`.

use std::sync::Once;

use clap::builder::RangedI64ValueParser;

use super::table;
use crate::config::DeviceChoice;
use crate::device;

/// Reads `--device`.
pub fn device_choice(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::try_from(text.to_owned())
}

/// Says, once, why `auto` takes the CPU where there is a driver for a GPU, or why steps on a GPU take
/// more launches than they need.
pub fn note_missing_gpu(choice: DeviceChoice) {
    static SAID: Once = Once::new();
    if choice == DeviceChoice::Auto {
        SAID.call_once(|| {
            if let Some(why) = device::why_no_gpu() {
                table::warn(format_args!("note: no GPU is used: {why}"));
            }
        });
    }
    static OF_KERNELS: Once = Once::new();
    if let Ok(open) = device::open(choice)
        && let Some(why) = device::why_no_kernels(open)
    {
        OF_KERNELS.call_once(|| {
            table::warn(format_args!("note: steps on the GPU go by tensor ops alone: {why}"));
        });
    }
}

/// As many threads as a configuration may ask for.
pub fn threads() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=1024)
}
