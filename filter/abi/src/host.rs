//! The host calls.

use crate::headers::Headers;
use core::ptr::null_mut;

/// Status of a call that did what it was asked for.
const OK: u32 = 0;

/// A header map of the current stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// The request's headers.
    Request = 0,
    /// The response's headers.
    Response = 2,
    /// The response's trailers.
    ResponseTrailers = 3,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
}

/// A header map; none of it where the proxy is in no phase that has it.
#[must_use]
pub fn headers(map: Map) -> Headers {
    let bytes = received(|data, size| {
        // SAFETY: both are places that the host may write one value to.
        unsafe { proxy_get_header_map_pairs(map as u32, data, size) }
    });
    Headers::from_bytes(bytes.unwrap_or_default())
}

/// The value of a header's first line, `name` in lower case; `None` where it is not there.
#[must_use]
pub fn header(map: Map, name: &str) -> Option<Vec<u8>> {
    let mut is_there = false;
    let value = received(|data, size| {
        // SAFETY: the host reads `name.len()` bytes of `name` and keeps none of them; `data` and
        // `size` are places that it may write one value to.
        let status = unsafe {
            proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
        };
        is_there = status == OK;
        status
    });
    // An empty value comes without a buffer.
    if is_there {
        Some(value.unwrap_or_default())
    } else {
        None
    }
}

/// A property of the stream or the proxy; the parts of its path have a zero byte between them.
#[must_use]
pub fn property(path: &str) -> Option<Vec<u8>> {
    received(|data, size| {
        // SAFETY: as in `header`.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
}

/// Nanoseconds since the Unix epoch; 0 where the host does not say.
#[must_use]
pub fn now_ns() -> u64 {
    let mut time = 0;
    // SAFETY: `time` is a place that the host may write one value to.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    if status == OK { time } else { 0 }
}

/// Takes over the buffer that a call hands over: `call` is given the places for its address and its
/// length, and gives the status.
fn received(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut::<u8>(), 0);
    let status = call(&raw mut data, &raw mut size);
    if status != OK || data.is_null() {
        return None;
    }
    // SAFETY: by the ABI the host got the buffer from this module's `malloc` with just this size,
    // has written all of it, and leaves it to the module. The SDK's `malloc` is the global allocator's
    // memory for `size` bytes with an alignment of one, which is what a vector frees.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}
