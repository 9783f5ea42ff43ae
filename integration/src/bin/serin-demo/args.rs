//! What the demo is told on the command line.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use serin_integration::shop::Regression;

const AFTER_HELP: &str = "\
What happens:
  1. Two healthy versions of a shop run behind one Envoy; the filter learns.
  2. The regression is switched on in the canary, v2.
  3. The filter gathers evidence until it calls v2 anomalous.
  4. In mode `steer`, every further request goes to v1; nobody touches the weights.
  5. The verdict, why, and how many requests and seconds it took; the last line is JSON.
With `none` nothing is broken: the load triples for a while, and v2 has to end healthy.

Exit code: 0 when the story ended as it should, 1 when it did not, 130 after Ctrl-C.
Needs `make setup` (Envoy) and `make wasm` (the filter); `make demo` does both.";

/// Shows a canary release that goes wrong, and what the filter does about it.
#[derive(Debug, Clone, Parser)]
#[command(name = "serin-demo", after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// What goes wrong in the canary
    #[arg(long, value_name = "NAME", default_value = "errors", value_parser = regressions())]
    pub(crate) regression: Regression,

    /// Requests per second of all users together
    #[arg(long, value_name = "N", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(10..=1000))]
    pub(crate) rate: u32,

    /// Share of the traffic that the canary gets, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 25,
          value_parser = clap::value_parser!(u32).range(1..=90))]
    pub(crate) share: u32,

    /// What the filter does when the canary is anomalous
    #[arg(long, value_enum, default_value_t = Mode::Steer)]
    pub(crate) mode: Mode,

    /// Seed of arrivals, latencies and failures
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Longest wait for the verdict, in seconds (default: 45); with `none`, how long to look on
    /// (default: 30)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(3..=600))]
    pub(crate) seconds: Option<u64>,
}

impl Args {
    /// Longest wait for the verdict; with [`Regression::None`], how long the filter is watched.
    pub(crate) fn limit(&self) -> Duration {
        let default = if self.regression == Regression::None {
            30
        } else {
            45
        };
        Duration::from_secs(self.seconds.unwrap_or(default))
    }
}

/// A mode of the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Send all further requests to the stable version
    Steer,
    /// Say so, and do nothing
    Observe,
}

impl Mode {
    /// The name in the filter's config.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steer => "steer",
            Self::Observe => "observe",
        }
    }
}

/// What the canary does under a regression: the end of a sentence that begins with "v2".
pub(crate) fn misbehaviour(regression: Regression) -> &'static str {
    match regression {
        Regression::None => "stays healthy while the load triples for a while",
        Regression::Latency => "takes three times as long for products and carts",
        Regression::Errors => "answers 8% of its carts and checkouts with 500",
        Regression::Hang => "leaves 10% of its product pages without an answer",
        Regression::Size => "answers the product list at three times its size",
        Regression::Headers => "forgets etag and cache-control on product pages",
        Regression::ContentType => "calls its JSON product list text/html",
        Regression::LostField => "gives the prices in its product list another name",
        Regression::TypeChange => "gives the prices in its product list as strings",
    }
}

fn regressions() -> impl TypedValueParser<Value = Regression> {
    let values = Regression::ALL.map(|regression| {
        PossibleValue::new(regression.name()).help(format!("v2 {}", misbehaviour(regression)))
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Regression>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_regression_is_understood_and_an_unknown_one_is_refused_with_the_known() {
        Args::command().debug_assert();
        for regression in Regression::ALL {
            let line = ["serin-demo", "--regression", regression.name()];
            assert_eq!(Args::try_parse_from(line).unwrap().regression, regression);
        }
        let error = Args::try_parse_from(["serin-demo", "--regression", "slow"]).unwrap_err();
        assert!(error.to_string().contains("content-type"), "{error}");
    }
}
