//! Numbers that stand for names: the same in every worker and after a restart.

/// Stands for a host, or for what else no client chooses (FNV-1a).
#[must_use]
#[inline]
pub fn identity(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Spreads the bits of a number that may count up, such as a connection's (the finaliser of
/// splitmix64).
#[must_use]
#[inline]
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Folds a number to 32 bits that are not 0: 0 stands for what is not known.
#[must_use]
#[inline]
pub fn short(number: u64) -> u32 {
    ((mix(number) >> 32) as u32).max(1)
}
