//! `--device`, and the device opened for work without training.

use anyhow::Result;
use tch::Device;

use crate::config::DeviceChoice;
use crate::device;

/// Reads `--device`.
pub fn device_choice(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::try_from(text.to_owned())
}

/// Opens a device for work without training: this crate's loops use the threads.
///
/// # Errors
/// When the device is not there.
pub fn open_device(choice: DeviceChoice, threads: u32) -> Result<Device> {
    device::use_threads(threads);
    let device = device::open(choice)?;
    if device == Device::Cpu {
        // libtorch's threads would spin beside them.
        tch::set_num_threads(1);
    }
    Ok(device)
}
