//! One sort for everything. The standard library's is made anew for each type and comparison, and
//! each time takes 4 to 12 KB of the module; what is sorted here is short or sorted once a tick.

use core::cmp::Ordering;

/// So many items are sorted where they are, without memory of their own.
const SHORT: usize = 16;

/// The indices of numbers, the largest first; of equal ones the first first.
#[inline(never)]
pub(crate) fn largest_first(numbers: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    let number = |index: usize| numbers.get(index).copied().unwrap_or(f64::NEG_INFINITY);
    sort_places(&mut order, &mut |one, other| {
        number(other).total_cmp(&number(one))
    });
    order
}

/// Sorts `items` by `compare`; items that are equal keep their order.
pub(crate) fn sort_by<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    if items.len() <= SHORT {
        for end in 1..items.len() {
            let mut at = end;
            while at > 0 && ordering(items, at, at - 1, &mut compare) == Ordering::Less {
                items.swap(at, at - 1);
                at -= 1;
            }
        }
        return;
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut order, &mut |one, other| {
        ordering(items, one, other, &mut compare)
    });
    // Each item goes where it belongs, cycle by cycle; a place that is done refers to itself.
    for start in 0..order.len() {
        let mut at = start;
        while let Some(from) = order.get_mut(at).map(|place| core::mem::replace(place, at)) {
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// Sorts `items` in rising order; items that are equal keep their order.
pub(crate) fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

fn ordering<T>(
    items: &[T],
    one: usize,
    other: usize,
    compare: &mut impl FnMut(&T, &T) -> Ordering,
) -> Ordering {
    match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => compare(one, other),
        _ => Ordering::Equal,
    }
}

/// Behind a reference to the comparison, so that there is one of it.
fn sort_places(places: &mut [usize], compare: &mut dyn FnMut(usize, usize) -> Ordering) {
    places.sort_unstable_by(|one, other| compare(*one, *other).then(one.cmp(other)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from few values, so that many are equal, each with its place.
    fn numbers(length: usize, seed: u64) -> Vec<(u64, usize)> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..length)
            .map(|place| (random.u64(0..20), place))
            .collect()
    }

    #[test]
    fn it_sorts_as_the_stable_sort_of_the_standard_library() {
        for length in (0..40).chain([100, 1_000, 5_000]) {
            for seed in 0..20 {
                let mut ours = numbers(length, seed);
                let mut theirs = ours.clone();
                sort_by(&mut ours, |one, other| other.0.cmp(&one.0));
                theirs.sort_by_key(|one| std::cmp::Reverse(one.0));
                assert_eq!(ours, theirs, "{length} numbers, seed {seed}");
            }
        }
    }

    #[test]
    fn what_is_sorted_already_or_backwards_is_sorted_after() {
        for length in [0, 1, 2, SHORT, SHORT + 1, 300] {
            let rising: Vec<usize> = (0..length).collect();
            let mut same = rising.clone();
            sort(&mut same);
            assert_eq!(same, rising);
            let mut falling: Vec<usize> = rising.iter().rev().copied().collect();
            sort(&mut falling);
            assert_eq!(falling, rising);
        }
    }
}
