//! TorchScript modules from source text, through libtorch's own C++ interface (`script.cpp`).

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Result, bail};
use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    fn croloss_save_script(
        class_name: *const c_char,
        source: *const c_char,
        names: *const *const c_char,
        parameters: *const *const C_tensor,
        parameter_count: usize,
        extra_names: *const *const c_char,
        extra_texts: *const *const c_char,
        extra_count: usize,
        path: *const c_char,
        error: *mut c_char,
        error_size: usize,
    ) -> c_int;
}

/// A module to be: its class, its `forward` and other methods as TorchScript source, its named
/// parameters, and texts to store beside it in the file.
pub struct Script<'a> {
    pub class: &'a str,
    pub source: &'a str,
    pub parameters: &'a [(&'a str, Tensor)],
    pub extra_files: &'a [(&'a str, String)],
}

impl Script<'_> {
    /// Compiles the source and writes the module.
    ///
    /// # Errors
    /// What libtorch says of the source, or of the file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let class = CString::new(self.class)?;
        let source = CString::new(self.source)?;
        let file = CString::new(path.as_os_str().as_bytes())?;
        let names = texts(self.parameters.iter().map(|(name, _)| *name))?;
        let extra_names = texts(self.extra_files.iter().map(|(name, _)| *name))?;
        let extra_texts = texts(self.extra_files.iter().map(|(_, text)| text.as_str()))?;
        let tensors: Vec<*const C_tensor> =
            self.parameters.iter().map(|(_, tensor)| tensor.as_ptr()).collect();
        let mut error = [0 as c_char; 4096];
        // SAFETY: all pointers are to living, NUL-terminated texts and tensors, the counts are
        // those of the lists, and the function writes at most `error_size` bytes.
        let status = unsafe {
            croloss_save_script(
                class.as_ptr(),
                source.as_ptr(),
                pointers(&names).as_ptr(),
                tensors.as_ptr(),
                tensors.len(),
                pointers(&extra_names).as_ptr(),
                pointers(&extra_texts).as_ptr(),
                extra_names.len(),
                file.as_ptr(),
                error.as_mut_ptr(),
                error.len(),
            )
        };
        if status != 0 {
            // SAFETY: the function has ended the text with NUL.
            let said = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy();
            bail!("cannot write {}: {said}", path.display());
        }
        Ok(())
    }
}

fn texts<'a>(all: impl Iterator<Item = &'a str>) -> Result<Vec<CString>> {
    Ok(all.map(CString::new).collect::<Result<_, _>>()?)
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).collect()
}
