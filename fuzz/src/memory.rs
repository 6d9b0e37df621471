//! How much memory a reader holds at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, which counts.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn grow(size: usize) {
    let held = HELD.fetch_add(size, Relaxed).wrapping_add(size);
    if held > LIMIT.load(Relaxed) {
        // Once: to say so takes memory as well.
        LIMIT.store(usize::MAX, Relaxed);
        eprintln!("{held} bytes are held, the last {size} of them at");
        eprintln!("{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }
}

// Every call goes to the system's allocator as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `work`, which may hold no more than `limit` bytes beyond what is held now; the process
/// ends where it does.
pub fn bounded(limit: usize, work: impl FnOnce()) {
    LIMIT.store(HELD.load(Relaxed).saturating_add(limit), Relaxed);
    work();
    LIMIT.store(usize::MAX, Relaxed);
}
