//! How each exchange is held against what was usual before.

use super::check::{duration, number, whole};
use super::error::ConfigError;
use super::raw::SurpriseSection;
use crate::surprise::request_texts::RequestTexts;
use crate::surprise::{Limits, Settings};
use core::time::Duration;

/// How much of the config's memory is one epoch if it is not told, within bounds.
const EPOCHS_PER_MEMORY: u32 = 50;
const SHORTEST_EPOCH: Duration = Duration::from_secs(5);
const LONGEST_EPOCH: Duration = Duration::from_secs(600);
/// Most values that one worker remembers if it is not told.
const VALUES: u64 = 16_384;
/// Most features of one route: the looks at the request, and a value for each signal.
const FEATURES: usize = 96;
const _: () = assert!(FEATURES >= RequestTexts::MOST_FEATURES + 10);

/// How each exchange is held against what was usual before.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SurprisePlan {
    /// Length of an epoch.
    pub epoch: Duration,
    /// Bounds of one worker's models together, and how fast they forget.
    pub settings: Settings,
    /// Percentile, 0 to 1, above which a guard refuses; `None` for never.
    pub refuse_above: Option<f64>,
}

impl SurprisePlan {
    /// What holds where the config says nothing else; `memory` is the half-life of what is known.
    #[must_use]
    pub fn new(memory: Duration) -> Self {
        let epoch = (memory / EPOCHS_PER_MEMORY).clamp(SHORTEST_EPOCH, LONGEST_EPOCH);
        Self::with(epoch, VALUES, memory)
    }

    fn with(epoch: Duration, values: u64, memory: Duration) -> Self {
        let epochs = epoch.as_secs_f64() / memory.as_secs_f64();
        Self {
            epoch,
            settings: Settings {
                limits: Limits {
                    features: FEATURES,
                    all_tokens: usize::try_from(values).unwrap_or(usize::MAX),
                    ..Limits::default()
                },
                keep: (-epochs).exp2() as f32,
            },
            refuse_above: None,
        }
    }

    pub(super) fn compile(raw: &SurpriseSection, memory: Duration) -> Result<Self, ConfigError> {
        let usual = Self::new(memory);
        let epoch = match raw.epoch.as_deref() {
            None => usual.epoch,
            text => duration("surprise.epoch", text, "1m", "1s", "1d")?,
        };
        if epoch > memory / 2 {
            return Err(ConfigError::new(
                "surprise.epoch",
                "is more than half of `memory`, so that nothing would be known in the next one",
                "use at most half of `memory`, or leave it out",
            ));
        }
        let values = whole(
            "surprise.max_values",
            raw.max_values,
            VALUES,
            1_024..=262_144,
        )?;
        let repair = "a share of the exchanges from 0.9 to 0.99999, such as 0.999";
        let refuse_above = raw
            .refuse_above
            .map(|share| {
                let path = "surprise.refuse_above";
                number(path, Some(share), 1.0, 0.9..=0.99999, repair)
            })
            .transpose()?;
        Ok(Self {
            refuse_above,
            ..Self::with(epoch, values, memory)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::Plan;
    use core::time::Duration;

    #[test]
    fn surprise_is_off_until_it_is_asked_for() {
        assert_eq!(Plan::from_json("{}").unwrap().surprise, None);
        let plan = Plan::from_json(r#"{"surprise": {}}"#).unwrap();
        let surprise = plan.surprise.unwrap();
        assert_eq!(surprise.epoch, Duration::from_secs(12));
        assert_eq!(surprise.refuse_above, None);
    }

    #[test]
    fn whatever_the_epoch_what_is_known_fades_with_the_memory() {
        for (config, epochs) in [
            (r#"{"surprise": {}, "memory": "1h"}"#, 50),
            (r#"{"surprise": {"epoch": "1m"}, "memory": "1h"}"#, 60),
        ] {
            let surprise = Plan::from_json(config).unwrap().surprise.unwrap();
            let left = f64::from(surprise.settings.keep).powi(epochs);
            assert!((left - 0.5).abs() < 1e-4, "{left}");
        }
    }

    #[test]
    fn errors_name_the_field_and_the_repair() {
        let error = |config: &str| Plan::from_json(config).err().unwrap().to_string();
        assert!(error(r#"{"surprise": {"refuse_above": 99.9}}"#).contains("surprise.refuse_above"));
        assert!(error(r#"{"surprise": {"refuse_above": 99.9}}"#).ends_with("such as 0.999"));
        assert!(error(r#"{"surprise": {"epoch": "1ms"}}"#).contains("surprise.epoch"));
        assert!(error(r#"{"surprise": {"epoch": "6m"}}"#).contains("half of `memory`"));
        assert!(error(r#"{"surprise": {"max_values": 7}}"#).ends_with("from 1024 to 262144"));
        assert!(error(r#"{"surprise": {"tokens": 7}}"#).contains("correct the name"));
    }
}
