//! Whose memory it is, and a checksum over all of it.

use super::MAX_BYTES;
use crate::route::key::MAX_PART_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::fmt;
use core::time::Duration;

/// What a memory begins with.
const MAGIC: [u8; 8] = *b"SERINMEM";
/// Version of what follows; another version's memory is not read.
const VERSION: u16 = 1;

/// Whose memory it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// The plugin's name in its proxy.
    pub plugin: String,
    /// The service.
    pub destination: String,
    /// What signals, tolerances and rollout the config has, as [`Judge::layout`] says.
    ///
    /// [`Judge::layout`]: crate::judge::Judge::layout
    pub layout: u64,
    /// When it was written, since the Unix epoch.
    pub written: Duration,
}

/// Why bytes are not taken for a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsealed {
    /// They are longer than [`MAX_BYTES`].
    TooLong,
    /// They begin otherwise than a memory.
    Foreign,
    /// Another version of Serin wrote it.
    OtherVersion(u16),
    /// The checksum does not fit.
    Damaged,
    /// The checksum fits, and what is inside cannot be read.
    Unreadable(CodecError),
}

impl fmt::Display for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the memory has more than {MAX_BYTES} bytes"),
            Self::Foreign => f.write_str("the bytes are no memory of Serin's"),
            Self::OtherVersion(version) => {
                write!(
                    f,
                    "the memory has version {version}, and version {VERSION} is read here"
                )
            }
            Self::Damaged => f.write_str("the memory is damaged: its checksum does not fit"),
            Self::Unreadable(error) => write!(f, "the memory cannot be read: {error}"),
        }
    }
}

impl core::error::Error for Unsealed {}

impl Envelope {
    /// A memory as bytes, with what `write` puts into it.
    #[must_use]
    pub fn seal(&self, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.text(&self.plugin);
        writer.text(&self.destination);
        writer.u64(self.layout);
        writer.u64(u64::try_from(self.written.as_millis()).unwrap_or(u64::MAX));
        write(&mut writer);
        let content = writer.into_bytes();
        let mut sealed = MAGIC.to_vec();
        sealed.extend_from_slice(&VERSION.to_le_bytes());
        sealed.extend_from_slice(&checksum(&content).to_le_bytes());
        sealed.extend_from_slice(&content);
        sealed
    }

    /// Reads whose memory it is, and gives a reader of what is inside.
    ///
    /// # Errors
    /// When the bytes are not a whole memory of this version.
    pub fn open(bytes: &[u8]) -> Result<(Self, Reader<'_>), Unsealed> {
        if bytes.len() > MAX_BYTES {
            return Err(Unsealed::TooLong);
        }
        let content = bytes
            .strip_prefix(MAGIC.as_slice())
            .ok_or(Unsealed::Foreign)?;
        let (version, content) = content.split_first_chunk().ok_or(Unsealed::Damaged)?;
        let version = u16::from_le_bytes(*version);
        if version != VERSION {
            return Err(Unsealed::OtherVersion(version));
        }
        let (sum, content) = content.split_first_chunk().ok_or(Unsealed::Damaged)?;
        if u64::from_le_bytes(*sum) != checksum(content) {
            return Err(Unsealed::Damaged);
        }
        let mut reader = Reader::new(content);
        let envelope = Self::read(&mut reader).map_err(Unsealed::Unreadable)?;
        Ok((envelope, reader))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            plugin: reader.text(MAX_PART_BYTES)?.to_owned(),
            destination: reader.text(MAX_PART_BYTES)?.to_owned(),
            layout: reader.u64()?,
            written: Duration::from_millis(reader.u64()?),
        })
    }
}

/// FNV-1a of 64 bits: it finds damage, and is no proof of who wrote it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let envelope = Envelope {
            plugin: "istio-system.serin".to_owned(),
            destination: "shop".to_owned(),
            layout: 7,
            written: Duration::from_millis(1_700_000_000_123),
        };
        let bytes = envelope.seal(|writer| writer.text("inside"));
        let (read, mut reader) = Envelope::open(&bytes).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(reader.text(10), Ok("inside"));
        bytes
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sealed();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert!(Envelope::open(&damaged).is_err(), "bit {bit} of {place}");
            }
            assert!(Envelope::open(&bytes[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn what_is_refused_is_told_why() {
        let mut newer = sealed();
        newer[8] = 2;
        let long = vec![0; MAX_BYTES + 1];
        for (bytes, words) in [
            (&b"PNG"[..], "no memory of Serin's"),
            (&newer, "version 2"),
            (&sealed()[..40], "damaged"),
            (&long, "more than"),
        ] {
            let error = Envelope::open(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
