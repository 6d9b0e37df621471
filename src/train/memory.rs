//! How much memory the process has needed.

use std::fs;

/// The most memory that this process has held, in MiB.
pub fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_is_told_on_linux() {
        assert!(cfg!(not(target_os = "linux")) || peak_memory_mib() > 1);
    }
}
