//! The placebo's halves: the baseline's exchanges in two groups that should not differ.
//!
//! Halves are whole hosts, so that a bad pod stays in one of them; with a single host they are whole
//! sessions. Requests are not assigned one by one, because that would hide both.

use crate::wire::codec::{CodecError, Reader, Writer};

/// Hosts that have a half.
const MAX_HOSTS: usize = 64;

/// How the exchanges of a destination's baseline are assigned to halves 0 and 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Halves {
    /// Whether halves are sessions: there are not two hosts.
    pub(super) by_session: bool,
    /// The known hosts with their halves, sorted by host.
    hosts: Vec<(u32, u8)>,
}

impl Halves {
    /// The halves of a baseline of which no host is known.
    pub(super) fn of_sessions() -> Self {
        Self {
            by_session: true,
            hosts: Vec::new(),
        }
    }

    /// The half of an exchange from this host and session; `None` for a host that has none yet, or
    /// where there is no session. 0 stands for what is not known.
    pub(super) fn half(&self, host: u32, session: u32) -> Option<usize> {
        if self.by_session {
            // A session's number is well mixed.
            return (session != 0).then_some((session >> 16 & 1) as usize);
        }
        let index = self
            .hosts
            .binary_search_by_key(&host, |known| known.0)
            .ok()?;
        self.hosts.get(index).map(|known| usize::from(known.1))
    }

    /// Assigns a host to the half with fewer hosts. `live` are the hosts of now: when the table is full,
    /// the others make room. Tells whether the halves are hosts from now on and were sessions before.
    pub(super) fn add(&mut self, host: u32, live: &[u32]) -> bool {
        let known = |hosts: &[(u32, u8)]| hosts.binary_search_by_key(&host, |known| known.0);
        if known(&self.hosts).is_ok() {
            return false;
        }
        if self.hosts.len() >= MAX_HOSTS {
            self.hosts.retain(|(host, _)| live.contains(host));
        }
        let Err(index) = known(&self.hosts) else {
            return false;
        };
        if self.hosts.len() >= MAX_HOSTS {
            return false;
        }
        let first = self.hosts.iter().filter(|known| known.1 == 0).count();
        let half = u8::from(2 * first > self.hosts.len());
        self.hosts.insert(index, (host, half));
        let is_split = self.by_session && self.hosts.len() > 1;
        self.by_session &= !is_split;
        is_split
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u8(u8::from(self.by_session));
        writer.list(&self.hosts, |(host, half), writer| {
            writer.u32(*host);
            writer.u8(*half);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let by_session = reader.u8()? == 1;
        let mut hosts = reader.list(MAX_HOSTS, |reader| Ok((reader.u32()?, reader.u8()? & 1)))?;
        crate::order::sort_by(&mut hosts, |one, other| one.0.cmp(&other.0));
        Ok(Self { by_session, hosts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::identity::short;

    #[test]
    fn sessions_fall_into_both_halves_about_evenly_and_stay_there() {
        let halves = Halves::of_sessions();
        let first = (0..1_000)
            .filter(|session| halves.half(0, short(*session)) == Some(0))
            .count();
        assert!((400..600).contains(&first), "{first}");
        assert_eq!(halves.half(0, 0), None);
        assert_eq!(halves.half(0, 7), halves.half(9, 7));
    }

    #[test]
    fn hosts_fill_both_halves_and_an_unknown_one_has_none() {
        let mut halves = Halves::of_sessions();
        assert!(!halves.add(3, &[3]));
        assert!(halves.add(1, &[1, 3]));
        assert_eq!([3, 1].map(|host| halves.half(host, 9)), [Some(0), Some(1)]);
        assert_eq!(halves.half(2, 9), None);
        let mut writer = Writer::new();
        halves.encode(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(Halves::decode(&mut Reader::new(&bytes)), Ok(halves));
    }

    #[test]
    fn after_many_deploys_the_hosts_of_now_still_have_halves() {
        let mut halves = Halves::of_sessions();
        for deploy in 0..40 {
            let live: Vec<u32> = (1..=4).map(|host| 10 * deploy + host).collect();
            for host in &live {
                halves.add(*host, &live);
            }
            let seconds = live.iter().filter_map(|host| halves.half(*host, 0)).sum();
            assert_eq!((live.len(), seconds), (4, 2), "{deploy}");
        }
        assert!(halves.hosts.len() <= MAX_HOSTS);
    }
}
