//! Which operations of libtorch and kernels of our own a piece of work comes to (`ops.cpp`). On a GPU
//! each of libtorch's is a launch or a few; on a CPU, where they can be counted as well, they are those
//! of a GPU without kernels.

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

/// The operations that `work` comes to on this thread, as `aten::add` or `croloss_unit`: views are left
/// out, and one that calls others is told by those.
pub fn operations(work: impl FnOnce()) -> Vec<String> {
    let mut names = recorded(work);
    names.retain(|name| {
        !name.starts_with(CALLS) && !VIEWS.contains(&name.trim_start_matches("aten::"))
    });
    names
}

/// Stands before the name of an operation that calls others.
const CALLS: &str = "calls ";

fn recorded(work: impl FnOnce()) -> Vec<String> {
    let mut names = vec![0u8; 1 << 20];
    // SAFETY: stopped on the same thread; the buffer has the length that is said.
    let length = unsafe {
        croloss_operations_start();
        work();
        croloss_operations_stop(names.as_mut_ptr().cast(), names.len())
    };
    names.truncate(length);
    String::from_utf8_lossy(&names).lines().map(str::to_owned).collect()
}

/// The first operation of `work` that brings a number from the device to the host, or must know one
/// to know its result's size: on a GPU it waits for all that was launched before.
#[cfg(test)]
pub fn read_back(work: impl FnOnce()) -> Option<String> {
    const READS: [&str; 6] = [
        "_local_scalar_dense",
        "is_nonzero",
        "nonzero",
        "masked_select",
        "_unique2",
        "unique_consecutive",
    ];
    let plain = |name: &str| name.trim_start_matches(CALLS).trim_start_matches("aten::").to_owned();
    recorded(work).iter().map(|name| plain(name)).find(|name| READS.contains(&name.as_str()))
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
        assert_eq!(read_back(|| _ = a.double_value(&[1, 2])).unwrap(), "_local_scalar_dense");
        assert_eq!(read_back(|| drop(a.nonzero())).unwrap(), "nonzero");
        assert_eq!(read_back(|| drop(&a + 1.0)), None);
        assert!(operations(|| drop(a.view([16]))).is_empty());
    }
}
