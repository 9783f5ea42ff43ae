//! What the shop sells, rendered once at the start: pages of 300 B to 8 KB.

use bytes::Bytes;
use serde_json::{Value, json};

/// Ids of products run from 1 to this.
pub(crate) const PRODUCTS: u32 = 200;
/// Products on the list page.
const LISTED: u32 = 30;
/// Lengths of descriptions in bytes, shortest and longest.
const DESCRIPTION: (u64, u64) = (150, 7_600);
const WORDS: &str = "A sturdy and light piece, made by hand from seasoned wood and brushed steel. ";

/// Rendered bodies, shared by all requests.
#[derive(Debug)]
pub(super) struct Catalogue {
    /// The HTML page.
    pub(super) home: Bytes,
    /// The HTML page whose links all lead back to it.
    pub(super) home_without_way_on: Bytes,
    /// The product list.
    pub(super) list: Bytes,
    /// The product list three times as large.
    pub(super) long_list: Bytes,
    /// The product list whose prices have another name.
    pub(super) list_with_another_name: Bytes,
    /// The product list whose prices are strings.
    pub(super) list_with_text: Bytes,
    products: Vec<Bytes>,
}

impl Catalogue {
    #[allow(
        clippy::indexing_slicing,
        reason = "a JSON object made here: a key that is missing is inserted"
    )]
    pub(super) fn new() -> Self {
        let list = |count: u32| render(&Value::from_iter((1..=count).map(summary)));
        let changed = |change: fn(&str) -> String| {
            let text = Value::from_iter((1..=LISTED).map(summary)).to_string();
            Bytes::from(change(&text))
        };
        let cards: String = (1..=LISTED)
            .map(|id| format!("<li><a href=\"/api/products/{id}\">{}</a></li>\n", name(id)))
            .collect();
        let home = format!("<!doctype html>\n<title>Shop</title>\n<ul>\n{cards}</ul>\n");
        let home_without_way_on = home.replace("/api/products/", "/?the-product=");
        Self {
            home: home.into(),
            home_without_way_on: home_without_way_on.into(),
            list: list(LISTED),
            long_list: list(3 * LISTED),
            list_with_another_name: changed(|text| text.replace("price_cents", "cents_price")),
            list_with_text: render(&Value::from_iter((1..=LISTED).map(|id| {
                let mut product = summary(id);
                let price = product["price_cents"].to_string();
                product["price_cents"] = price.into();
                product
            }))),
            products: (1..=PRODUCTS).map(|id| render(&product(id))).collect(),
        }
    }

    /// The page of one product, if the id is one.
    pub(super) fn product(&self, id: &str) -> Option<Bytes> {
        let id: usize = id.parse().ok()?;
        self.products.get(id.checked_sub(1)?).cloned()
    }

    /// The cart of an id: its contents follow from the id alone, so that all instances agree.
    pub(super) fn cart(id: &str) -> Bytes {
        let seed = hash(id.as_bytes());
        let items: Vec<Value> = (0..=seed % 8)
            .map(|line| {
                let product =
                    u32::try_from(mix(seed + line) % u64::from(PRODUCTS)).unwrap_or(0) + 1;
                json!({"product": summary(product), "quantity": 1 + line % 3})
            })
            .collect();
        render(&json!({"id": id, "currency": "EUR", "items": items}))
    }
}

/// FNV-1a, spread by [`mix`]: also makes the etags.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn name(id: u32) -> String {
    format!("Item No. {id}")
}

fn summary(id: u32) -> Value {
    json!({"id": id, "name": name(id), "price_cents": 500 + mix(u64::from(id)) % 20_000})
}

#[allow(
    clippy::indexing_slicing,
    reason = "a JSON object made here: a key that is missing is inserted"
)]
fn product(id: u32) -> Value {
    let (shortest, longest) = DESCRIPTION;
    let length = shortest + mix(u64::from(id) << 8) % (longest - shortest);
    let description: String = WORDS
        .chars()
        .cycle()
        .take(usize::try_from(length).unwrap_or_default())
        .collect();
    let mut product = summary(id);
    product["description"] = description.into();
    product["stock"] = (mix(u64::from(id) << 16) % 50).into();
    product["dimensions_mm"] = json!([300, 200, 120]);
    product["categories"] = json!(["home", "kitchen", "gifts"]);
    product["image"] = format!("/static/products/{id}.webp").into();
    product
}

fn render(value: &Value) -> Bytes {
    value.to_string().into()
}
