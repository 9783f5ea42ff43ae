//! Tells whether a state may be continued: evidence that was gathered under other signals or
//! tolerances must not be.

use crate::config::Plan;

/// A hash of the signals, questions and tolerances.
pub(super) fn fingerprint(plan: &Plan) -> u64 {
    // FNV-1a: fixed for good, unlike a hash table's.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for signal in &plan.signals {
        add(signal.name().as_bytes());
    }
    for (_, question) in &plan.questions {
        add(question.name.as_bytes());
        add(&question.tolerance.to_le_bytes());
        add(&question.weight.to_le_bytes());
    }
    for expected in &plan.expected {
        add(expected.route.as_deref().unwrap_or("*").as_bytes());
        add(&expected.signal.to_le_bytes());
        add(expected.category.unwrap_or_default().as_bytes());
    }
    add(format!("{:?} {:?}", plan.body, plan.session).as_bytes());
    add(&[
        u8::from(plan.reject.reference.is_some()),
        u8::from(plan.placebo),
    ]);
    add(&plan.drift_window.as_millis().to_le_bytes());
    add(&plan.past_window.as_millis().to_le_bytes());
    add(plan.rollout.as_deref().unwrap_or_default().as_bytes());
    hash
}
