//! Which operations of libtorch a piece of work comes to (`ops.cpp`). On a GPU each of them is a
//! kernel launch or a few; they are the same ones on a CPU, where they can be counted as well.

use std::ffi::c_char;

unsafe extern "C" {
    fn croloss_operations_start();
    fn croloss_operations_stop(out: *mut c_char, size: usize) -> usize;
}

/// What only makes or looks at a tensor: nothing is launched.
const VIEWS: [&str; 17] = [
    "alias",
    "as_strided",
    "detach",
    "empty",
    "empty_like",
    "empty_strided",
    "expand",
    "narrow",
    "permute",
    "reshape",
    "result_type",
    "select",
    "slice",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
];

/// The operations that `work` comes to on this thread, as `aten::add`: views are left out, and one
/// that calls others is told by those.
pub fn operations(work: impl FnOnce()) -> Vec<String> {
    let mut names = vec![0u8; 1 << 20];
    // SAFETY: stopped on the same thread; the buffer has the length that is said.
    let length = unsafe {
        croloss_operations_start();
        work();
        croloss_operations_stop(names.as_mut_ptr().cast(), names.len())
    };
    names.truncate(length);
    let names = String::from_utf8_lossy(&names);
    let launched = |name: &&str| !VIEWS.contains(&name.trim_start_matches("aten::"));
    names.lines().filter(launched).map(str::to_owned).collect()
}

/// The first operation that brings a number from the device to the host, or must know one to know
/// its result's size: on a GPU it waits for all that was launched before.
#[cfg(test)]
pub fn read_back(names: &[String]) -> Option<&str> {
    const READS: [&str; 6] = [
        "_local_scalar_dense",
        "is_nonzero",
        "nonzero",
        "masked_select",
        "_unique2",
        "unique_consecutive",
    ];
    let plain = names.iter().map(|name| name.trim_start_matches("aten::"));
    plain.into_iter().find(|name| READS.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn operations_are_those_that_do_something() {
        let a = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        let mut value = 0.0;
        let names = operations(|| value = (a.tr() + &a).sqrt().double_value(&[1, 2]));
        assert_eq!(value, 2.0f64.sqrt() as f32 as f64);
        assert_eq!(names, ["aten::add", "aten::sqrt", "aten::_local_scalar_dense"]);
        assert_eq!(read_back(&names), Some("_local_scalar_dense"));
        assert_eq!(read_back(&names[..2]), None);
        assert!(operations(|| drop(a.view([16]))).is_empty());
    }
}
