//! A number that all workers of one proxy know and its clients do not. Values that clients choose are
//! hashed with it, so that clients cannot choose the hash. The number is the nanosecond in which a
//! worker began: a module without randomness has nothing better.

use crate::host::Host;

/// Where it is in shared data.
const KEY: &str = "serin/secret";

/// The proxy's secret; `mine` becomes it where there is none yet.
///
/// Two workers that start in the same moment may each write theirs, for the first value of a key
/// can only be written and not swapped in. So it is asked for again at each tick.
#[must_use]
pub fn of_proxy(host: &impl Host, mine: u64) -> u64 {
    let bytes = host.shared(KEY).bytes;
    if let Ok(bytes) = bytes.try_into() {
        return u64::from_le_bytes(bytes);
    }
    host.swap_shared(KEY, &mine.to_le_bytes(), None);
    mine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn the_first_secret_is_everybodys_and_a_damaged_one_is_replaced() {
        let host = FakeHost::default();
        assert_eq!(of_proxy(&host, 1), 1);
        assert_eq!(of_proxy(&host, 2), 1);
        assert!(host.swap_shared(KEY, b"short", None));
        assert_eq!(of_proxy(&host, 3), 3);
        assert_eq!(of_proxy(&host, 4), 3);
    }
}
