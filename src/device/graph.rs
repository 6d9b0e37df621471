//! Work of a GPU that is recorded once and then launched again as a whole: a CUDA graph
//! (`graph.cpp`).

use std::ffi::{c_char, c_int, c_void};

use tch::Cuda;

use super::told::{check, text};

unsafe extern "C" {
    fn croloss_graph_missing() -> *const c_char;
    fn croloss_graph_stream(device: c_int, out: *mut *mut c_void) -> *const c_char;
    fn croloss_graph_stream_back(before: *mut c_void);
    fn croloss_graph_begin(out: *mut *mut c_void) -> *const c_char;
    fn croloss_graph_end(graph: *mut c_void) -> *const c_char;
    fn croloss_graph_replay(graph: *mut c_void) -> *const c_char;
    fn croloss_graph_free(graph: *mut c_void);
}

/// A recorded piece of work. It reads and writes the memory that it did when it was recorded, which
/// has to last; what it took for itself meanwhile it keeps.
pub struct Graph(*mut c_void);

/// Being on the stream for recording, also where the work panics.
struct OnStream(*mut c_void);

/// A graph that is being recorded, likewise.
struct Recording(Option<Graph>);

impl Graph {
    /// Does `work` on the stream where it is to be recorded, with GPU `index` idle before and behind it:
    /// what libraries keep for a stream is there afterwards.
    ///
    /// # Panics
    /// Where CUDA refuses.
    pub fn rehearse<T>(index: usize, work: impl FnOnce() -> T) -> T {
        let there = OnStream::of(index);
        let out = work();
        drop(there);
        Cuda::synchronize(index as i64);
        out
    }

    /// Records what `work` launches on GPU `index`, which is idle by then, as CUDA advises. Nothing of it
    /// is done.
    ///
    /// # Panics
    /// Where CUDA refuses, as to read on the host what a GPU is still to compute.
    pub fn record<T>(index: usize, work: impl FnOnce() -> T) -> (Self, T) {
        let _there = OnStream::of(index);
        let mut graph = std::ptr::null_mut();
        // SAFETY: a new graph comes out unless a failure is told.
        check(unsafe { croloss_graph_begin(&mut graph) });
        let recording = Recording(Some(Self(graph)));
        let out = work();
        (recording.end(), out)
    }

    /// Launches all of it, behind what was launched before.
    ///
    /// # Panics
    /// Where CUDA refuses.
    pub fn replay(&self) {
        // SAFETY: it was recorded to its end.
        check(unsafe { croloss_graph_replay(self.0) });
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it came out of `croloss_graph_begin`, and this is its last use.
        unsafe { croloss_graph_free(self.0) }
    }
}

impl OnStream {
    /// Goes there once the GPU is idle.
    fn of(index: usize) -> Self {
        Cuda::synchronize(index as i64);
        let mut before = std::ptr::null_mut();
        // SAFETY: what was before comes out unless a failure is told.
        check(unsafe { croloss_graph_stream(index as c_int, &mut before) });
        Self(before)
    }
}

impl Drop for OnStream {
    fn drop(&mut self) {
        // SAFETY: it came out of `croloss_graph_stream`, and this is its last use.
        unsafe { croloss_graph_stream_back(self.0) }
    }
}

impl Recording {
    fn end(mut self) -> Graph {
        let graph = self.0.take().expect("it ends once");
        // SAFETY: this thread has begun it.
        check(unsafe { croloss_graph_end(graph.0) });
        graph
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(graph) = &self.0 {
            // SAFETY: as above; the panic that is under way says more than what this tells.
            let _ = unsafe { croloss_graph_end(graph.0) };
        }
    }
}

/// Why nothing can be recorded, once libtorch's CUDA is loaded.
pub fn why_no_graph() -> Option<String> {
    // SAFETY: looks up functions.
    text(unsafe { croloss_graph_missing() })
}
