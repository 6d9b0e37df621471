//! `--device`.

use crate::config::DeviceChoice;

/// Reads `--device`.
pub fn device_choice(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::try_from(text.to_owned())
}
