//! Which path segments are values and which are names.

use scorer_sdk::route::{MAX_SEGMENT_BYTES, Segment, classify};

#[test]
fn each_segment_gets_the_class_its_text_shows() {
    use Segment::{Any, Date, Email, Hex, Int, Literal, Uuid};
    let a64 = "a".repeat(MAX_SEGMENT_BYTES);
    let a65 = "a".repeat(MAX_SEGMENT_BYTES + 1);
    let digits65 = "1".repeat(MAX_SEGMENT_BYTES + 1);
    let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let table = [
        // Names.
        ("", Literal),
        ("api", Literal),
        ("v1", Literal),
        ("2fa", Literal),
        ("-", Literal),
        ("+5", Literal),
        ("1.5", Literal),
        ("1,5", Literal),
        ("٣", Literal),
        ("größe", Literal),
        ("pkg.Service", Literal),
        (a64.as_str(), Literal),
        // Integers.
        ("0", Int),
        ("12345", Int),
        ("-7", Int),
        ("20261123", Int),
        ("123456789012345678901234567890", Int),
        // Hexadecimal ids, and words in a to f.
        ("deadbeef", Literal),
        ("facade", Literal),
        ("DEADBEEF", Literal),
        ("abcdefabcdef", Literal),
        ("1f2e3d4", Literal),
        ("1f2e3d4c", Hex),
        ("DEADBEE0", Hex),
        ("deadbeeg0", Literal),
        ("0x1f2e3d4c", Literal),
        ("507f1f77bcf86cd799439011", Hex),
        (sha256, Hex),
        // UUIDs.
        ("123e4567-e89b-12d3-a456-426614174000", Uuid),
        ("123E4567-E89B-12D3-A456-426614174000", Uuid),
        ("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", Uuid),
        ("123e4567-e89b-12d3-a456-42661417400", Literal),
        ("123e4567-e89b-12d3-a456-42661417400g", Literal),
        ("123e4567e-89b-12d3-a456-426614174000", Literal),
        ("123e4567e89b12d3a456426614174000", Hex),
        // Dates.
        ("2026-11-23", Date),
        ("2026-02-31", Date),
        ("2026-13-01", Literal),
        ("2026-00-01", Literal),
        ("2026-01-00", Literal),
        ("2026-01-32", Literal),
        ("2026-1-23", Literal),
        ("2026/11/23", Literal),
        ("2026-11-23T00", Literal),
        // Addresses.
        ("ann@example.org", Email),
        ("ann.b+c@mail.example.org", Email),
        ("ann%40example.org", Email),
        ("ann@bücher.example", Email),
        ("@babel", Literal),
        ("ann@localhost", Literal),
        ("ann@example.", Literal),
        ("ann@.org", Literal),
        ("ann@a@example.org", Literal),
        ("lodash@4.17.21", Literal),
        ("100%", Literal),
        // Too long to look at.
        (a65.as_str(), Any),
        (digits65.as_str(), Any),
        // The placeholders themselves.
        ("{int}", Int),
        ("{uuid}", Uuid),
        ("{hex}", Hex),
        ("{date}", Date),
        ("{email}", Email),
        ("{x}", Any),
        ("{id}", Literal),
        ("{", Literal),
        ("**", Literal),
    ];
    for (segment, expected) in table {
        assert_eq!(classify(segment), expected, "segment {segment:?}");
    }
}

#[test]
fn a_placeholder_is_of_the_class_it_stands_for() {
    for segment in ["7", "1f2e3d4c", "2026-11-23", "a@b.org"] {
        let class = classify(segment);
        let placeholder = class.placeholder().unwrap();
        assert_eq!(classify(placeholder), class);
    }
    assert_eq!(Segment::Literal.placeholder(), None);
}
