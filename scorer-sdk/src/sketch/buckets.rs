//! Log-linear buckets for durations and sizes, as in HdrHistogram: 16 buckets to a power of two, so
//! that a bucket is at most 1/16 = 6.25% wide. No logarithm is taken: the code is read off the
//! leading bits.

/// Sub-buckets to a power of two, as a power of two itself.
const PRECISION_BITS: u32 = 4;
/// Values from here on share the last bucket: 2^40 (a duration of twelve days in microseconds, a
/// body of a tebibyte).
const LARGEST_BIT: u32 = 40;

/// The code of the bucket that holds `value`.
#[must_use]
#[inline]
pub fn code(value: u64) -> u16 {
    let value = value.min((1 << LARGEST_BIT) - 1);
    if value < 1 << PRECISION_BITS {
        return value as u16;
    }
    let exponent = 63 - value.leading_zeros();
    let shift = exponent - PRECISION_BITS;
    let mantissa = (value >> shift) as u16 & ((1 << PRECISION_BITS) - 1);
    (((shift + 1) as u16) << PRECISION_BITS) + mantissa
}

/// The smallest value of the bucket `code`.
#[must_use]
pub fn lower_bound(code: u16) -> u64 {
    let group = u32::from(code >> PRECISION_BITS);
    let mantissa = u64::from(code) & ((1 << PRECISION_BITS) - 1);
    match group {
        0 => mantissa,
        _ => (mantissa + (1 << PRECISION_BITS)) << (group - 1).min(LARGEST_BIT),
    }
}

/// The largest value of the bucket `code`.
#[must_use]
pub fn upper_bound(code: u16) -> u64 {
    lower_bound(code.saturating_add(1)).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_the_bounds_of_its_bucket() {
        for value in (0..100_000).chain((17..40).map(|bit| (1 << bit) + 12_345)) {
            let code = code(value);
            assert!(
                lower_bound(code) <= value && value <= upper_bound(code),
                "{value}"
            );
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for bucket in 0..code(u64::MAX) {
            assert_eq!(code(upper_bound(bucket)), bucket);
            assert_eq!(code(upper_bound(bucket) + 1), bucket + 1);
        }
    }

    #[test]
    fn a_bucket_is_at_most_one_sixteenth_wide() {
        for bucket in 16..code(u64::MAX) {
            let width = (upper_bound(bucket) - lower_bound(bucket) + 1) as f64;
            assert!(width / lower_bound(bucket) as f64 <= 0.0625);
        }
    }
}
