//! Which path segments are values and which are names.

use scorer_sdk::route::{MAX_SEGMENT_BYTES, Segment, classify};

#[test]
fn each_segment_gets_the_class_its_text_shows() {
    use Segment::{Any, Date, Email, Hex, Id, Int, Literal, Uuid};
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
        ("0x1f2e3d4c", Id),
        ("507f1f77bcf86cd799439011", Hex),
        (sha256, Hex),
        // UUIDs.
        ("123e4567-e89b-12d3-a456-426614174000", Uuid),
        ("123E4567-E89B-12D3-A456-426614174000", Uuid),
        ("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", Uuid),
        ("123e4567-e89b-12d3-a456-42661417400", Id),
        ("123e4567-e89b-12d3-a456-42661417400g", Id),
        ("123e4567e-89b-12d3-a456-426614174000", Id),
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
        ("{id}", Id),
        ("{file}", Segment::File),
        ("{name}", Literal),
        ("{", Literal),
        ("**", Literal),
    ];
    for (segment, expected) in table {
        assert_eq!(classify(segment), expected, "segment {segment:?}");
    }
}

#[test]
fn a_placeholder_is_of_the_class_it_stands_for() {
    for segment in [
        "7",
        "1f2e3d4c",
        "2026-11-23",
        "a@b.org",
        "cus_9s6XKzkNRiz8i3",
        "name-1.0.tar.gz",
        "a%2Fb",
    ] {
        let class = classify(segment);
        let placeholder = class.placeholder().unwrap();
        assert_eq!(classify(placeholder), class);
    }
    assert_eq!(Segment::Literal.placeholder(), None);
}

/// Ids of the usual shapes, none of them a hexadecimal number or a uuid as a whole.
const IDS: &[&str] = &[
    // ULID, in both cases.
    "01JD3V7ZK8W5QXNRT4M2YBHC9G",
    "01JD3V80F2A6PEKSG7D9XQ1TVW",
    "01jd3v7zk8w5qxnrt4m2ybhc9g",
    // nanoid, with and without digits at its ends.
    "V1StGXR8_Z5jdHi6B-myT",
    "tQ7wLx0pKd-3vNbRz_e9F",
    "k2pX-Q9vRz_7LmTb4wHnc",
    // base32, in both cases.
    "MFZWIZLTMNZGK4TFOQ2XG5BAON",
    "q7k2zv4mxw6h3tbr",
    "B5XQ2WK7RJ4VTZ6M",
    // base58 and base62.
    "3yZe7dKwQm9RtXpV4bNhJs",
    "7Np41oeYqPefeNQEHSv1UDhYrehxin3N",
    "0ujtsYcgvSTl8PAuAdqWYSMnLOv",
    "aQ3kZ9vX7mW2pR5tB8nL",
    // Behind a word.
    "cus_9s6XKzkNRiz8i3",
    "pi_3MtwBwLkdIwHu7ix28a3tQvT",
    "trace_4bf92f3577b34da6",
    "trace_0af7651916cd43dd",
    "trace_9xk2v7qz4m1w",
    "u-7f3a9c1e",
    "u-q7k2zv4mxw6h",
    "req_011CQwZk8Rv3XbTn",
    "order-004211",
    "SKU-182004",
    "invoice_20261123",
    "sess:8Zq3LmX0vTw7RkPd",
    "user~k2v9x7q4z1",
    // Other lengths and marks.
    "cjld2cjxh0000qzrmn831i7rn",
    "9m4e2mr0ui3e8a215n4g",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "0x5aAeb6053F3E94C9",
    "dQw4w9WgXcQ7",
    "g7h2k9q4x1z8",
    "bXlJZDoxMjM0NTY3OA==",
    // A name around it.
    "report-9s6XKzkNRiz8i3-final",
    "topic_b7f20c91_events",
];

/// Ordinary segments: words, versions, units, places, products, programs.
const NAMES: &[&str] = &[
    "checkout",
    "v1beta1",
    "v2alpha1",
    "v1p3beta1",
    "oauth2",
    "oauth2callback",
    "openid-connect",
    "saml2",
    "base64",
    "base64url",
    "sha256",
    "sha256sum",
    "md5sum",
    "hmac-sha512",
    "ed25519",
    "secp256k1",
    "utf-8",
    "utf8mb4",
    "utf16le",
    "iso-8859-1",
    "iso8601",
    "iso-27001",
    "rfc3339",
    "rfc-2616",
    "x509",
    "x86_64",
    "arm64v8",
    "aarch64",
    "win32",
    "ipv4",
    "ipv6-only",
    "http2",
    "http-404",
    "h264",
    "mp3",
    "mp4-720p60",
    "1080p",
    "4k",
    "i18n",
    "l10n",
    "a11y",
    "k8s",
    "k3s-agent",
    "s3",
    "ec2",
    "ec2-instances",
    "us-east-1",
    "eu-west-1a",
    "ap-southeast-2",
    "en",
    "en-US",
    "pt-BR",
    "zh-Hans-CN",
    "sr-Latn-RS",
    "es-419",
    "de_DE",
    "covid-19",
    "web3",
    "log4j2",
    "neo4j",
    "zigbee2mqtt",
    "b2b-orders",
    "p2p-transfers",
    "e2e-tests",
    "3d-secure",
    "3ds2",
    "2fa",
    "mfa-totp-setup",
    "step-2-of-3",
    "top-10",
    "page2",
    "q4-2026",
    "2026-q4-report",
    "fy2026",
    "black-friday-2026",
    "iphone-17-pro-max",
    "galaxy-s26-ultra",
    "ps5-games",
    "windows-11",
    "python3",
    "postgresql16",
    "getUserById",
    "getOAuth2Token",
    "listV1Pods",
    "XMLHttpRequest",
    "parseJSONBody2",
    "HTTPSProxyV2",
    "UserService",
    "b2c_1a_signup_signin",
    "terms-and-conditions",
    "privacy-policy",
    "rechtsschutzversicherungen",
    "kfz-haftpflichtversicherung",
    "wszystkie-zamowienia",
    "przedsiebiorstwo",
    "zmrzlinovy-pohar",
    "ctvrtletni-prehled",
    "szolgaltatasok",
    "wynajem-mieszkan",
    "shinjuku-ku",
    "nghiem-xuan-thuong",
    "mwongozo-wa-afya",
    "rhythms",
    "lynx-crwth-psychs",
    "qwerty-keyboards",
    "xkcd",
    "pnpm-lockfile",
    "src-html-css-js",
    "grpc-xds-lrs",
    "kubectl-apply",
    "nginx-vhosts",
    "mcp-npx-ts",
    "dns-srv-txt-mx",
    "WWW-AUTHENTICATE",
    "SMTP_TLS_RPT",
    "index.html",
    "404.html",
    "robots.txt",
    "favicon.ico",
    "favicon-32x32.png",
    "apple-touch-icon-180x180.png",
    "main.css",
    "app.min.js",
    "jquery.js",
    "openapi.json",
    "swagger.v1.json",
    "sitemap_index.xml",
    "security.txt",
    "metrics.k8s.io",
    "cert-manager.io",
    "shop.v1.CartService",
    "grpc.health.v1.Health",
    "v1.2",
    "v1.2.3",
    "1.0",
    "10.0.0.1",
    "lodash@4.17.21",
    "@babel",
    "largest-contentful-paint",
    "application_default_credentials",
    "well-known",
];

/// Files whose names change with what is in them.
const FILES: &[&str] = &[
    "name-1.0.tar.gz",
    "requests-2.32.3-py3-none-any.whl",
    "left-pad-1.3.0.tgz",
    "lodash_4.17.21.zip",
    "shop_v0.1.0.deb",
    "jquery-3.7.1.min.js",
    "main.8f3b2c1d.js",
    "chunk-vendors.1f2e3d4c.css",
    "index-BkX9v2QzR7mL.js",
    "123e4567-e89b-12d3-a456-426614174000.png",
    "2026-11-23.log",
    "10042.pdf",
    "01JD3V7ZK8W5QXNRT4M2YBHC9G.json",
    "export_20261123.csv",
];

#[test]
fn ids_of_the_usual_shapes_are_ids() {
    for id in IDS {
        assert_eq!(classify(id), Segment::Id, "{id}");
    }
}

#[test]
fn names_with_numbers_in_them_and_words_of_any_language_are_names() {
    for name in NAMES {
        assert_eq!(classify(name), Segment::Literal, "{name}");
    }
}

#[test]
fn file_names_with_a_value_in_them_are_files() {
    for file in FILES {
        assert_eq!(classify(file), Segment::File, "{file}");
    }
}

#[test]
fn a_segment_with_a_slash_in_it_is_a_path_of_its_own() {
    for segment in ["group%2Fproject", "a%2fb", "%2F", "name-1.0.%2F"] {
        assert_eq!(classify(segment), Segment::Any, "{segment}");
    }
    assert_eq!(classify("a%2"), Segment::Literal);
}

/// What share of 4,000 drawn ids is recognised.
fn recognised(alphabet: &str, length: usize) -> f64 {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut random = fastrand::Rng::with_seed(11);
    let mut draw = || -> String {
        (0..length)
            .map(|_| alphabet[random.usize(..alphabet.len())])
            .collect()
    };
    let hits = (0..4_000)
        .filter(|_| classify(&draw()) != Segment::Literal)
        .count();
    hits as f64 / 4_000.0
}

#[test]
fn of_long_ids_nearly_all_are_recognised() {
    let base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let nanoid = format!("{base62}_-");
    let base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    for (alphabet, length, least) in [
        ("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26, 0.998),
        ("0123456789abcdefghjkmnpqrstvwxyz", 26, 0.99),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 26, 0.98),
        ("0123456789abcdefghijklmnopqrstuvwxyz", 24, 0.97),
        (base62, 20, 0.95),
        (base62, 27, 0.98),
        (base58, 22, 0.95),
        (nanoid.as_str(), 21, 0.93),
        ("abcdefghijklmnopqrstuvwxyz234567", 16, 0.7),
    ] {
        let share = recognised(alphabet, length);
        println!("{length} of {alphabet}: {share:.3}");
        assert!(share >= least, "{length} of {alphabet}: {share}");
    }
}
