//! Bodies that were to be looked at and were not, by route: what `serin status` and `serin doctor`
//! say of them.

use crate::metrics_text::Sample;
use crate::number::percent;
use crate::samples::{count, of};
use scorer_sdk::shape::LeftOut;
use scorer_sdk::telemetry::{self, label};
use std::collections::BTreeMap;

/// Share of a route's bodies from which on it is said that they were left out.
const WORTH_SAYING: f64 = 0.01;

/// The bodies of one route that were left out for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Unseen {
    /// Where the requests went.
    pub destination: String,
    /// Method and path template.
    pub route: String,
    /// Why, as the metric's label says.
    pub reason: String,
    /// Share of the route's bodies that were to be looked at.
    pub share: f64,
}

impl Unseen {
    /// `12% of the bodies on GET /api/products were not looked at: content-encoding br`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let why = match self.known() {
            Some(LeftOut::Brotli | LeftOut::Zstd) => format!("content-encoding {}", self.reason),
            Some(LeftOut::OtherEncoding) => "unknown content-encoding".to_owned(),
            Some(LeftOut::Busy) => "too many were being decompressed at once".to_owned(),
            Some(LeftOut::Damaged) => "they could not be decompressed".to_owned(),
            Some(LeftOut::Malformed) => "they are not what their content type says".to_owned(),
            Some(LeftOut::TooLarge) => "they exceed a limit".to_owned(),
            None => self.reason.clone(),
        };
        let (share, route) = (percent(self.share), &self.route);
        format!("{share} of the bodies on {route} were not looked at: {why}")
    }

    /// What can be done about it.
    #[must_use]
    pub fn repair(&self) -> &'static str {
        match self.known() {
            Some(LeftOut::Brotli | LeftOut::Zstd | LeftOut::OtherEncoding) => {
                "have the application answer in gzip or uncompressed, and let the gateway compress \
                 for clients; what Serin does not look at is not compared"
            }
            Some(LeftOut::Busy) => "lower body.sample, or spread the load over more proxies",
            Some(LeftOut::Damaged | LeftOut::Malformed) => {
                "look at what the application sends: clients cannot read it either"
            }
            Some(LeftOut::TooLarge) => {
                "raise body.max_bytes; a body with more than 512 paths is not compared: list keys \
                 that are data in body.masked_keys"
            }
            None => "see docs/reference-metrics.md",
        }
    }

    fn known(&self) -> Option<LeftOut> {
        let mut all = LeftOut::ALL.into_iter();
        all.find(|reason| reason.name() == self.reason)
    }
}

/// The routes and reasons that are worth saying, those with the largest share first.
#[must_use]
pub fn unseen<'a>(samples: impl IntoIterator<Item = &'a Sample> + Clone) -> Vec<Unseen> {
    let mut all: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut left_out: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for metric in [&telemetry::BODIES, &telemetry::BODIES_LEFT_OUT] {
        for sample in of(samples.clone(), metric) {
            let [destination, route, reason] =
                [label::DESTINATION, label::ROUTE, label::REASON].map(|name| sample.label(name));
            let sum = all.entry((destination, route)).or_default();
            *sum = sum.saturating_add(count(sample));
            if metric == &telemetry::BODIES_LEFT_OUT {
                let sum = left_out.entry((destination, route, reason)).or_default();
                *sum = sum.saturating_add(count(sample));
            }
        }
    }
    let mut found: Vec<Unseen> = left_out
        .into_iter()
        .filter_map(|((destination, route, reason), count)| {
            let all = all.get(&(destination, route)).copied().unwrap_or(0);
            Some(Unseen {
                destination: destination.to_owned(),
                route: route.to_owned(),
                reason: reason.to_owned(),
                share: count as f64 / all as f64,
            })
            .filter(|unseen| unseen.share >= WORTH_SAYING)
        })
        .collect();
    found.sort_by(|a, b| b.share.total_cmp(&a.share));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_text;

    fn of_page(page: &str) -> Vec<String> {
        let samples: Vec<Sample> = metrics_text::all(page).collect();
        unseen(&samples).iter().map(Unseen::sentence).collect()
    }

    #[test]
    fn a_share_is_one_of_all_bodies_of_the_route_that_were_to_be_looked_at() {
        let page = r#"
serin_bodies_total{destination="shop",route="GET /a",version="v1"} 80
serin_bodies_total{destination="shop",route="GET /a",version="v2"} 8
serin_bodies_left_out_total{destination="shop",route="GET /a",version="v2",reason="br"} 12
serin_bodies_total{destination="shop",route="GET /b",version="v1"} 1000
serin_bodies_left_out_total{destination="shop",route="GET /b",version="v1",reason="busy"} 5
serin_bodies_left_out_total{destination="cart",route="GET /c",version="v1",reason="too_large"} 7
"#;
        let expected = [
            "100% of the bodies on GET /c were not looked at: they exceed a limit",
            "12% of the bodies on GET /a were not looked at: content-encoding br",
        ];
        assert_eq!(of_page(page), expected);
    }

    #[test]
    fn each_reason_of_the_filter_has_a_sentence_of_its_own() {
        let mut sentences: Vec<String> = LeftOut::ALL
            .into_iter()
            .map(|reason| {
                let name = reason.name();
                let labels = format!(r#"destination="shop",route="GET /",reason="{name}""#);
                let page = format!("serin_bodies_left_out_total{{{labels}}} 1\n");
                of_page(&page).concat()
            })
            .collect();
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), LeftOut::ALL.len());
    }
}
