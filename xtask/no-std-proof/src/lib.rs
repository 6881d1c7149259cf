//! Proof that core needs no std: this library has none, and brings what std would bring. If std were
//! anywhere in the graph, its panic handler would be the second one, which the compiler refuses.
#![no_std]
#![deny(missing_docs)]

use core::{
    alloc::{GlobalAlloc, Layout},
    panic::PanicInfo,
    ptr,
};

use peerage_core::{Speaker, time::Instant};

/// An allocator that has no memory: this library is built, never run.
struct Nothing;

// SAFETY: null is what an allocator without memory returns, and nothing was allocated that could be freed.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Runs a speaker: what it takes of core is linked.
#[unsafe(no_mangle)]
pub extern "C" fn peerage_no_std_proof(micros: u64) -> u64 {
    let mut speaker = Speaker::new([0; 32], Instant::ZERO);
    speaker.release(Instant::ZERO);
    speaker.handle_timeout(Instant::from_micros(micros));
    while speaker.poll_action().is_some() || speaker.poll_event().is_some() {}
    speaker.poll_timeout().map_or(0, Instant::as_micros)
}
