//! DEFLATE (RFC 1951) over chunks, in bounded memory.
//!
//! Why miniz_oxide: it is maintained with flate2, has no unsafe code, and its core takes chunks with
//! any borders and writes into a window that is ours. One stream needs 43 KB: the window and the
//! tables.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress_with_limit};

/// One stream of DEFLATE.
pub(super) struct Inflate {
    core: Box<DecompressorOxide>,
    /// What came out last; at its end it goes on at its beginning.
    window: Box<[u8]>,
    position: usize,
    flags: u32,
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// All input was taken, and more has to come.
    NeedsInput,
    /// More could come out.
    HasOutput,
    /// A block is over; another one follows.
    BlockEnded,
    /// The stream is over.
    Done,
    /// It is not DEFLATE, or its sum is wrong.
    Damaged,
}

impl Inflate {
    /// Before the first byte; `zlib` says whether it has the header and the sum of zlib.
    pub(super) fn new(zlib: bool) -> Self {
        let zlib = if zlib {
            TINFL_FLAG_PARSE_ZLIB_HEADER
        } else {
            0
        };
        Self {
            core: Box::default(),
            // Zeros: a reference to before the beginning finds nothing of another body.
            window: vec![0; TINFL_LZ_DICT_SIZE].into_boxed_slice(),
            position: 0,
            flags: TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY | zlib,
        }
    }

    /// Begins another stream.
    pub(super) fn restart(&mut self) {
        self.core.init();
    }

    /// Goes on with `input`, and lets at most `most` bytes out, which must not be 0. Gives what it
    /// has come to, how many bytes of the input were taken, and what came out.
    pub(super) fn step(&mut self, input: &[u8], most: usize) -> (Status, usize, &[u8]) {
        let from = self.position;
        let (status, taken, given) = decompress_with_limit(
            &mut self.core,
            input,
            &mut self.window,
            from,
            most,
            self.flags,
        );
        let status = match status {
            TINFLStatus::Done => Status::Done,
            TINFLStatus::BlockBoundary => Status::BlockEnded,
            TINFLStatus::NeedsMoreInput => Status::NeedsInput,
            // Without any progress it would go on for ever.
            TINFLStatus::HasMoreOutput if taken + given > 0 => Status::HasOutput,
            _ => Status::Damaged,
        };
        let to = from.saturating_add(given);
        self.position = if to < TINFL_LZ_DICT_SIZE { to } else { 0 };
        (status, taken, self.window.get(from..to).unwrap_or_default())
    }
}

impl core::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflate")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
