//! Header maps: any bytes can be read, and give the headers that a plain reader finds.

use serin_abi::Headers;

/// The bytes are a header map as a host writes it, or not.
pub fn run(data: &[u8]) {
    let headers = Headers::from_bytes(data.to_vec());
    let found: Vec<_> = headers.iter().collect();
    assert_eq!(found, expected(data).unwrap_or_default());
    assert!(found.len() <= data.len() / 10);
    assert_eq!(
        Headers::of(found.iter().copied())
            .iter()
            .collect::<Vec<_>>(),
        found
    );
}

/// Reads by places, not by what is left.
fn expected(data: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let number = |place: usize| {
        let bytes = data.get(place..place.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let count = number(0)?;
    let mut place = count.checked_mul(8)?.checked_add(4)?;
    // All lengths have to be there.
    data.get(..place)?;
    let mut text = |length: usize| {
        let end = place.checked_add(length)?;
        let text = data.get(place..end)?;
        data.get(end)?;
        place = end + 1;
        Some(text)
    };
    let mut headers = Vec::new();
    for index in 0..count {
        let at = 4 + 8 * index;
        let Some(name) = text(number(at)?) else { break };
        let Some(value) = text(number(at + 4)?) else {
            break;
        };
        headers.push((name, value));
    }
    Some(headers)
}
