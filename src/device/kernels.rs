//! Kernels of our own on a GPU (`kernels.cu`, and what stands in `kernels/`), and what tch lacks
//! (`lacks.cpp`).

mod encoder;
mod rank;

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

use super::told::{check, text};

pub use encoder::Drops;
pub use rank::UserItems;

const SOURCE: &str = concat!(
    include_str!("kernels.cu"),
    include_str!("kernels/rows.cu"),
    include_str!("kernels/encoder.cu"),
    include_str!("kernels/head.cu"),
    include_str!("kernels/loss.cu"),
    include_str!("kernels/rank.cu"),
);

/// Threads of a kernel that gives each row a warp.
pub const WARP: i64 = 32;

unsafe extern "C" {
    fn croloss_kernels_missing(device: c_int, source: *const c_char) -> *const c_char;
    fn croloss_launch(
        device: c_int,
        name: *const c_char,
        elements: i64,
        arguments: *mut *mut c_void,
    ) -> *const c_char;
    fn croloss_unit(v: *const C_tensor, epsilon: f64, out: *mut *mut C_tensor) -> *const c_char;
    fn croloss_backward(
        of: *const *const C_tensor,
        gradients: *const *const C_tensor,
        given: usize,
        leaves: *const *const C_tensor,
        count: usize,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
}

/// The kernels of one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    device: c_int,
}

/// An argument of a kernel, of the type that it declares.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    /// A pointer to the tensor's numbers.
    Numbers(&'a Tensor),
    /// The same, or a null pointer.
    Maybe(Option<&'a Tensor>),
    Long(i64),
    Int(i64),
    Float(f64),
    Double(f64),
}

impl Kernels {
    /// Those of the device that `tensor` is on, for float32; nothing on a CPU, where there is no
    /// NVRTC, and for other kinds of numbers: there tensor ops do.
    pub fn of(tensor: &Tensor) -> Option<Self> {
        let Device::Cuda(index) = tensor.device() else { return None };
        (tensor.kind() == Kind::Float && why_no_kernels(tensor.device()).is_none())
            .then_some(Self { device: index as c_int })
    }

    /// Starts a kernel, with a thread for each of `elements`.
    ///
    /// # Panics
    /// Where a tensor is elsewhere or not contiguous, and where CUDA refuses.
    pub fn launch(&self, name: &CStr, elements: i64, arguments: &[Argument]) {
        let here = Device::Cuda(self.device as usize);
        // The lower bytes of each are the argument.
        let pointer = |tensor: &Tensor| {
            assert!(tensor.device() == here && tensor.is_contiguous(), "{name:?}: {tensor:?}");
            tensor.data_ptr() as u64
        };
        let value = |argument: &Argument| match argument {
            Argument::Numbers(tensor) => pointer(tensor),
            Argument::Maybe(tensor) => tensor.map_or(0, pointer),
            Argument::Long(number) => *number as u64,
            Argument::Int(number) => u64::from(*number as i32 as u32),
            Argument::Float(number) => u64::from((*number as f32).to_bits()),
            Argument::Double(number) => number.to_bits(),
        };
        let mut values: Vec<u64> = arguments.iter().map(value).collect();
        let mut pointers: Vec<*mut c_void> =
            values.iter_mut().map(|value| (&raw mut *value).cast()).collect();
        // SAFETY: the values outlive the call, which reads as many as the kernel declares; what the
        // pointers among them lead to is memory that libtorch keeps for this stream.
        check(unsafe {
            croloss_launch(self.device, name.as_ptr(), elements, pointers.as_mut_ptr())
        });
    }

    /// v / √(|v|² + ε) along the last dimension, with a way back.
    pub fn unit(&self, v: &Tensor, epsilon: f64) -> Tensor {
        let mut out = std::ptr::null_mut();
        // SAFETY: a tensor in, a new one out.
        unsafe {
            check(croloss_unit(v.as_ptr(), epsilon, &mut out));
            Tensor::from_ptr(out)
        }
    }
}

/// Why a GPU has no kernels of ours; they are compiled when it is first asked.
pub fn why_no_kernels(device: Device) -> Option<String> {
    static TEXT: std::sync::OnceLock<CString> = std::sync::OnceLock::new();
    let Device::Cuda(index) = device else { return None };
    let source = TEXT.get_or_init(|| CString::new(SOURCE).expect("text without zeros"));
    // SAFETY: the text lasts.
    text(unsafe { croloss_kernels_missing(index as c_int, source.as_ptr()) })
}

/// The gradients of `leaves`, from those of some tensors, which have their shapes.
///
/// # Panics
/// Where libtorch refuses.
pub fn backward(of: &[&Tensor], gradients: &[&Tensor], leaves: &[&Tensor]) -> Vec<Tensor> {
    assert_eq!(of.len(), gradients.len(), "a gradient for each tensor");
    let mut out = vec![std::ptr::null_mut(); leaves.len()];
    // SAFETY: as many tensors as are said, and as many new ones.
    unsafe {
        check(croloss_backward(
            pointers(of).as_ptr(),
            pointers(gradients).as_ptr(),
            of.len(),
            pointers(leaves).as_ptr(),
            leaves.len(),
            out.as_mut_ptr(),
        ));
        out.into_iter().map(|own| Tensor::from_ptr(own)).collect()
    }
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|own| own.as_ptr()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    unsafe extern "C" {
        fn croloss_kernels_compile(
            nvrtc: *const c_char,
            source: *const c_char,
            architecture: *const c_char,
        ) -> *const c_char;
    }

    /// NVRTC of the environment that libtorch was installed into.
    fn nvrtc() -> Option<PathBuf> {
        let packages = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".libtorch"));
        let folder = packages.ok()?.parent()?.join("nvidia");
        let libraries = |own: PathBuf| fs::read_dir(own.join("lib")).into_iter().flatten();
        let all = fs::read_dir(folder).ok()?.flat_map(|own| libraries(own.unwrap().path()));
        let mut all = all.map(|own| own.unwrap().path());
        all.find(|own| {
            own.file_name().is_some_and(|own| own.as_encoded_bytes().starts_with(b"libnvrtc.so."))
        })
    }

    fn compiled(source: &str, architecture: &str) -> Option<Option<String>> {
        let path = CString::new(nvrtc()?.into_os_string().into_encoded_bytes()).unwrap();
        let [source, architecture] = [source, architecture].map(|own| CString::new(own).unwrap());
        // SAFETY: three texts.
        Some(text(unsafe {
            croloss_kernels_compile(path.as_ptr(), source.as_ptr(), architecture.as_ptr())
        }))
    }

    #[test]
    fn nvrtc_compiles_the_kernels_without_a_gpu() {
        for architecture in ["sm_80", "sm_90", "sm_100", "sm_120"] {
            let Some(error) = compiled(SOURCE, architecture) else {
                eprintln!("skipped: the libtorch of this checkout came without NVRTC");
                return;
            };
            assert_eq!(error, None, "{architecture}");
        }
        let error = compiled("__global__ void wrong() { none(); }", "sm_90").flatten().unwrap();
        assert!(error.contains("\"none\" is undefined"), "{error}");
    }
}
