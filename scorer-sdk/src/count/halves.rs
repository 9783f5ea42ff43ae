//! The placebo's halves: the baseline's exchanges in two groups that should not differ.
//!
//! Halves are whole hosts, so that a bad pod stays in one of them; with a single host they are
//! whole sessions. Requests are not assigned one by one, because that would hide both. The judge
//! assigns each host, and all workers count by its assignment, so hashes are the same in every
//! worker.

use crate::limits::{MAX_HOSTS, MAX_VERSION_BYTES};
use crate::route::key::MAX_PART_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// One of two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The first.
    First = 0,
    /// The second.
    Second = 1,
}

impl Half {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    fn from_bit(bit: u64) -> Self {
        if bit & 1 == 0 {
            Self::First
        } else {
            Self::Second
        }
    }
}

/// How the exchanges of a destination's baseline are assigned to halves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Halves {
    /// The destination.
    pub destination: String,
    /// The baseline.
    pub version: String,
    /// Whether halves are sessions: there are not two hosts.
    pub by_session: bool,
    /// Hashes of the known hosts with their halves, sorted by hash.
    pub hosts: Vec<(u64, Half)>,
}

impl Halves {
    /// The half of an exchange from this host and session; `None` for a host that is not known
    /// yet, or where there is no session.
    #[must_use]
    pub fn half(&self, host: u64, session: Option<u64>) -> Option<Half> {
        if self.by_session {
            return session.map(|session| Half::from_bit(mix(session) >> 32));
        }
        let index = self
            .hosts
            .binary_search_by_key(&host, |known| known.0)
            .ok()?;
        self.hosts.get(index).map(|known| known.1)
    }

    /// Whether this host has its half.
    #[must_use]
    pub fn knows(&self, host: u64) -> bool {
        self.hosts
            .binary_search_by_key(&host, |known| known.0)
            .is_ok()
    }

    /// Writes the halves.
    pub fn encode(&self, writer: &mut Writer) {
        writer.text(&self.destination);
        writer.text(&self.version);
        writer.u8(u8::from(self.by_session));
        writer.length(self.hosts.len());
        for (host, half) in &self.hosts {
            writer.u64(*host);
            writer.u8(*half as u8);
        }
    }

    /// Reads halves.
    ///
    /// # Errors
    /// When the bytes are not halves.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut halves = Self {
            destination: reader.text(MAX_PART_BYTES)?.to_owned(),
            version: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            by_session: reader.u8()? == 1,
            hosts: Vec::new(),
        };
        for _ in 0..reader.length(MAX_HOSTS)? {
            let host = reader.u64()?;
            halves
                .hosts
                .push((host, Half::from_bit(u64::from(reader.u8()?))));
        }
        halves.hosts.sort_unstable_by_key(|known| known.0);
        Ok(halves)
    }
}

/// Stands for a host, or for what else no client chooses: the same number in every worker and after
/// a restart (FNV-1a).
#[must_use]
pub fn identity(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Spreads the bits of a number that may count up, such as a connection's (the finaliser of
/// splitmix64).
#[must_use]
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_fall_into_both_halves_about_evenly_and_stay_there() {
        let halves = Halves {
            by_session: true,
            ..Halves::default()
        };
        let first = (0..1_000)
            .filter(|session| halves.half(0, Some(*session)) == Some(Half::First))
            .count();
        assert!((400..600).contains(&first), "{first}");
        assert_eq!(halves.half(0, None), None);
        assert_eq!(halves.half(0, Some(7)), halves.half(9, Some(7)));
    }

    #[test]
    fn halves_survive_the_codec_and_an_unknown_host_has_no_half() {
        let mut halves = Halves {
            destination: "shop".to_owned(),
            version: "v1".to_owned(),
            by_session: false,
            hosts: vec![
                (identity(b"10.0.0.1:80"), Half::First),
                (identity(b"10.0.0.2:80"), Half::Second),
            ],
        };
        halves.hosts.sort_unstable_by_key(|known| known.0);
        let mut writer = Writer::new();
        halves.encode(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(Halves::decode(&mut Reader::new(&bytes)), Ok(halves.clone()));
        assert_eq!(
            halves.half(identity(b"10.0.0.2:80"), None),
            Some(Half::Second)
        );
        assert_eq!(halves.half(identity(b"10.0.0.3:80"), Some(1)), None);
    }
}
