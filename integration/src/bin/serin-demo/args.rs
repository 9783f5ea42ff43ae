//! What the demo is told on the command line.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use serin_integration::shop::Regression;

const AFTER_HELP: &str = "\
What happens:
  1. Two healthy versions of a shop run behind one Envoy; the filter learns.
  2. The regression is switched on in the canary, v2.
  3. The filter gathers evidence until it calls v2 anomalous.
  4. In mode `steer`, every further request goes to v1; nobody touches weights.
  5. The verdict, why, and how many requests and seconds it took; the last line
     is JSON.

With `none` nothing is broken: the load triples for a while. With `shared_change` both
versions get slow together. In both v2 has to end healthy.
With `n-plus-one` and `skipped-auth` each version has a sidecar that reports what
the version calls. With `redirect-loop` users follow the links of their pages,
and the filter follows the users.

Exit code: 0 when the story ended as it should, 1 if not, 130 after Ctrl-C.
Needs `make setup` (Envoy) and `make wasm` (the filter); `make demo` does both.";

/// Shows a canary release that goes wrong, and what the filter does about it.
#[derive(Debug, Clone, Parser)]
#[command(name = "serin-demo", after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// What goes wrong
    #[arg(long = "regression", value_name = "NAME", default_value = "lost-field",
          value_parser = stories())]
    pub(crate) story: Story,

    /// Requests per second of all users together (default: 300; with sidecars: 80)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=1000))]
    rate: Option<u32>,

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

    /// Longest wait for the verdict, in seconds (default: 90); with `none` and `shared change`, how long to
    /// look on (default: 30)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(3..=600))]
    pub(crate) seconds: Option<u64>,

    /// Keep each exchange in this file, for `serin report` and `serin replay`, and the filter's config
    /// beside it: with exchanges.jsonl, in exchanges.config.json
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

impl Args {
    /// Requests per second of all users together.
    pub(crate) fn rate(&self) -> u32 {
        let default = if self.story.has_sidecars() { 80 } else { 300 };
        self.rate.unwrap_or(default)
    }

    /// Longest wait for the verdict; where v2 is not worse, how long the filter is watched.
    pub(crate) fn limit(&self) -> Duration {
        let default = if self.story.is_of_canary() { 90 } else { 30 };
        Duration::from_secs(self.seconds.unwrap_or(default))
    }
}

/// What happens to the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// The canary gets worse, or nothing does.
    Fault(Regression),
    /// Both versions get slow together.
    SharedChange,
}

impl Story {
    /// Every story.
    fn all() -> impl Iterator<Item = Self> {
        let faults = Regression::ALL.into_iter().map(Self::Fault);
        faults.chain([Self::SharedChange])
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fault(regression) => regression.name(),
            Self::SharedChange => "shared-change",
        }
    }

    /// Whether the canary, and it alone, gets worse: the verdict has to be `anomalous`.
    pub(crate) fn is_of_canary(self) -> bool {
        !matches!(self, Self::SharedChange | Self::Fault(Regression::None))
    }

    /// Whether each version needs a sidecar that reports its calls.
    pub(crate) fn has_sidecars(self) -> bool {
        matches!(
            self,
            Self::Fault(Regression::NPlusOne | Regression::SkippedAuth)
        )
    }

    /// Whether users follow links, and the filter follows users.
    pub(crate) fn follows_users(self) -> bool {
        self == Self::Fault(Regression::RedirectLoop)
    }

    /// Time with two healthy versions: at least, so that it can be seen and enough is learned, and at
    /// most.
    pub(crate) fn healthy_time(self) -> (Duration, Duration) {
        let (least, most) = if self.has_sidecars() {
            (15, 40)
        } else if self.follows_users() {
            (18, 40)
        } else if self == Self::SharedChange {
            (20, 60)
        } else {
            (6, 12)
        };
        (Duration::from_secs(least), Duration::from_secs(most))
    }

    /// What happens, as a whole sentence without its end.
    pub(crate) fn change(self) -> String {
        match self {
            Self::Fault(regression) => format!("v2 {}", misbehaviour(regression)),
            Self::SharedChange => "a shared dependency slows both versions threefold".to_owned(),
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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
fn misbehaviour(regression: Regression) -> &'static str {
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
        Regression::RedirectLoop => "has links on its home page that lead back to it",
        Regression::NPlusOne => "asks for the stock of each item, one by one",
        Regression::SkippedAuth => "no longer asks whether the user may do that",
    }
}

fn stories() -> impl TypedValueParser<Value = Story> {
    let values = Story::all().map(|story| PossibleValue::new(story.name()).help(story.change()));
    PossibleValuesParser::new(values).try_map(|name| {
        Story::all()
            .find(|story| story.name() == name)
            .ok_or("no such story")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use serin_integration::envoy::workspace;

    use super::*;

    #[test]
    fn the_page_of_the_demo_and_the_makefile_name_every_story() {
        for file in ["docs/demo.md", "Makefile"] {
            let text = std::fs::read_to_string(workspace().join(file)).unwrap();
            let words: Vec<&str> = text
                .split(|c: char| !c.is_ascii_lowercase() && c != '-')
                .collect();
            for story in Story::all() {
                assert!(words.contains(&story.name()), "{file} lacks {story}");
            }
        }
    }

    #[test]
    fn every_story_is_understood_and_an_unknown_one_is_refused_with_the_known() {
        Args::command().debug_assert();
        for story in Story::all() {
            let line = ["serin-demo", "--regression", story.name()];
            assert_eq!(Args::try_parse_from(line).unwrap().story, story);
        }
        let error = Args::try_parse_from(["serin-demo", "--regression", "slow"]).unwrap_err();
        assert!(error.to_string().contains("content-type"), "{error}");
    }
}
