//! Undoes a body's `content-encoding`, chunk by chunk, as far as the body is looked at.

use super::Encoding;
use super::gzip::{Header, Parsed, Sum};
use super::inflate::{Inflate, Status};

/// What the next byte belongs to.
#[derive(Debug)]
enum Stage {
    /// The header of a member of gzip; `is_first` says that there was no member before.
    Header { header: Header, is_first: bool },
    /// The first two bytes of `deflate`, which tell whether it is zlib.
    Format(Option<u8>),
    /// Compressed content.
    Content,
    /// What has to come at the end of a member of gzip, and how much of it has come.
    Trailer([u8; 8], usize),
    /// All that counts has come.
    Over,
    /// It cannot be decompressed.
    Damaged,
    /// It has more blocks than are decompressed.
    TooManyBlocks,
}

/// Decompresses one body.
#[derive(Debug)]
pub(super) struct Decoder {
    encoding: Encoding,
    stage: Stage,
    /// There from the first byte of the content on: a body that has not begun needs no memory.
    inflate: Option<Inflate>,
    sum: Sum,
    /// Whether any byte has come.
    has_begun: bool,
    /// Blocks that may still come. Each has tables to build, which costs as much as hundreds of
    /// bytes, and a block can have ten bits.
    blocks: u64,
}

impl Decoder {
    /// Before the first byte of a body of which at most `blocks` blocks of DEFLATE are decompressed.
    pub(super) fn new(encoding: Encoding, blocks: u64) -> Self {
        Self {
            encoding,
            stage: match encoding {
                Encoding::Gzip => Stage::Header {
                    header: Header::new(),
                    is_first: true,
                },
                Encoding::Deflate => Stage::Format(None),
            },
            inflate: None,
            sum: Sum::new(),
            has_begun: false,
            blocks,
        }
    }

    /// Whether it turned out that the body cannot be decompressed.
    pub(super) fn is_damaged(&self) -> bool {
        matches!(self.stage, Stage::Damaged)
    }

    /// Whether it had too many blocks, so that the rest is not decompressed.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.stage, Stage::TooManyBlocks)
    }

    /// Whether all that counts has come: what follows is not looked at.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether a body may end here: one without a single byte, too.
    pub(super) fn may_end(&self) -> bool {
        let ends_well = match &self.stage {
            Stage::Over => true,
            Stage::Header { header, is_first } => !is_first && header.is_before_magic(),
            _ => false,
        };
        ends_well || !self.has_begun
    }

    /// Goes on with the next chunk and hands what comes out to `look`, which says how many further
    /// bytes it would take: it is called first with none, and with no more than it would take. At 0
    /// the rest of the body does not matter.
    pub(super) fn feed(&mut self, chunk: &[u8], mut look: impl FnMut(&[u8]) -> usize) {
        self.has_begun |= !chunk.is_empty();
        let mut rest = chunk;
        let mut wanted = look(b"");
        while wanted > 0 {
            match &mut self.stage {
                Stage::Header { header, is_first } => {
                    let Some((byte, tail)) = rest.split_first() else {
                        return;
                    };
                    let is_before_magic = header.is_before_magic();
                    match header.byte(*byte) {
                        Parsed::Part => {}
                        Parsed::Whole => self.begin(false),
                        // What follows a member and is none is no matter of the body, as padding.
                        Parsed::Wrong if !*is_first && is_before_magic => self.stage = Stage::Over,
                        Parsed::Wrong => self.stage = Stage::Damaged,
                    }
                    rest = tail;
                }
                Stage::Format(first) => {
                    let Some((byte, tail)) = rest.split_first() else {
                        return;
                    };
                    rest = tail;
                    match *first {
                        None => *first = Some(*byte),
                        Some(first) => {
                            self.begin(is_zlib(first, *byte));
                            wanted = self.content(&mut &[first, *byte][..], &mut look, wanted);
                        }
                    }
                }
                Stage::Content => {
                    wanted = self.content(&mut rest, &mut look, wanted);
                    if rest.is_empty() {
                        return;
                    }
                }
                Stage::Trailer(expected, come) => {
                    let Some((byte, tail)) = rest.split_first() else {
                        return;
                    };
                    rest = tail;
                    if expected.get(*come) != Some(byte) {
                        self.stage = Stage::Damaged;
                    } else if *come + 1 < expected.len() {
                        *come += 1;
                    } else {
                        self.stage = Stage::Header {
                            header: Header::new(),
                            is_first: false,
                        };
                    }
                }
                Stage::Over | Stage::Damaged | Stage::TooManyBlocks => return,
            }
        }
    }

    /// Compressed content comes next.
    fn begin(&mut self, is_zlib: bool) {
        // A member has a block at least, and it may be empty.
        let Some(blocks) = self.blocks.checked_sub(1) else {
            self.stage = Stage::TooManyBlocks;
            return;
        };
        self.blocks = blocks;
        match &mut self.inflate {
            Some(inflate) => inflate.restart(),
            None => self.inflate = Some(Inflate::new(is_zlib)),
        }
        self.sum = Sum::new();
        self.stage = Stage::Content;
    }

    /// Decompresses from the front of `rest` until it is used up, the content is over, or no more is
    /// wanted; says how much is.
    fn content(
        &mut self,
        rest: &mut &[u8],
        look: &mut impl FnMut(&[u8]) -> usize,
        mut wanted: usize,
    ) -> usize {
        let Some(inflate) = &mut self.inflate else {
            self.stage = Stage::Damaged;
            return wanted;
        };
        while wanted > 0 {
            let (status, taken, content) = inflate.step(rest, wanted);
            *rest = rest.get(taken..).unwrap_or_default();
            if self.encoding == Encoding::Gzip {
                self.sum.add(content);
            }
            if status != Status::Damaged && !content.is_empty() {
                wanted = look(content);
            }
            match status {
                Status::HasOutput => continue,
                Status::BlockEnded if self.blocks > 0 => {
                    self.blocks -= 1;
                    continue;
                }
                Status::BlockEnded => self.stage = Stage::TooManyBlocks,
                Status::NeedsInput => {}
                Status::Damaged => self.stage = Stage::Damaged,
                Status::Done if self.encoding == Encoding::Gzip => {
                    self.stage = Stage::Trailer(self.sum.trailer(), 0);
                }
                Status::Done => self.stage = Stage::Over,
            }
            break;
        }
        wanted
    }
}

/// Whether these bytes are the header of zlib: it names DEFLATE and a window of at most 32 KiB, and
/// is a multiple of 31. Bare DEFLATE that begins so would be a stored block with padding that is not
/// zero, which nobody writes.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}
