//! The factors of hour and weekday of all series of a destination: what a watch that begins anew may
//! go on with. The levels are not among them, since another proxy has another part of the traffic.

use super::routes::MIX_ROUTES;
use super::season::{Scale, Season};
use crate::route::RouteKey;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Series: traffic, errors and latency of the baseline, and the mix.
pub(super) const SERIES: usize = 3 + MIX_ROUTES + 1;

/// The factors of all series of a destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Seasons {
    /// The routes whose part of the traffic has a series of its own, in their order.
    pub(super) routes: Vec<RouteKey>,
    /// Per series, its factors where any are known: traffic, errors, latency, then the mix.
    pub(super) series: Vec<Option<Season>>,
}

impl Seasons {
    /// Appends them.
    pub fn encode(&self, writer: &mut Writer) {
        writer.list(&self.routes, RouteKey::encode);
        writer.list(&self.series, |season, writer| {
            writer.option(season.as_ref(), Season::encode);
        });
    }

    /// Reads what [`Seasons::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such factors.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            routes: reader.list(MIX_ROUTES, RouteKey::decode)?,
            series: reader.list(SERIES, |reader| {
                reader.option(|reader| Ok(Season::decode(Scale::LogOdds, reader)?.bounded()))
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Tick, Watch};
    use core::time::Duration;

    const WINDOW: Duration = Duration::from_secs(600);

    /// A watch that has seen six days with three times as much traffic in the afternoon.
    fn watched() -> Watch {
        let mut watch = Watch::default();
        let key = RouteKey::all("shop");
        for window in 0..6 * 144_u64 {
            let exchanges = if window % 144 < 72 { 1_000 } else { 3_000 };
            let tick = Tick {
                exchanges,
                ..Tick::default()
            };
            watch.add(&key, Some(0), &tick);
            let now_ms = 1_699_920_000_000 + 600_000 * (window + 1);
            watch.tick(now_ms, WINDOW, WINDOW);
        }
        watch
    }

    #[test]
    fn hours_are_handed_on_and_levels_are_not() {
        let watch = watched();
        let seasons = watch.seasons().unwrap();
        let mut writer = Writer::new();
        seasons.encode(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(Seasons::decode(&mut reader), Ok(seasons.clone()));
        assert_eq!(reader.finish(), Ok(()));
        let next = Watch::with_seasons(&seasons);
        for hour in 0..24 {
            let now_s = f64::from(1_700_008_200 + 3_600 * hour);
            let effect = |watch: &Watch| watch.traffic.season().effect(now_s);
            assert_eq!(effect(&next), effect(&watch), "{hour}");
            assert!(effect(&next).abs() > 0.1, "{hour}");
        }
        assert!(!next.traffic.has_past());
        assert_eq!(Watch::default().seasons(), None);
    }

    #[test]
    fn factors_that_nobody_can_have_learned_are_bounded() {
        let mut seasons = watched().seasons().unwrap();
        let mut writer = Writer::new();
        seasons.series.truncate(1);
        seasons.encode(&mut writer);
        let mut bytes = writer.into_bytes();
        // The last 28 numbers are the days' levels, the 168 before them the hours'.
        let start = bytes.len() - 4 * (28 + 168);
        for number in bytes[start..].chunks_exact_mut(4) {
            number.copy_from_slice(&f32::MAX.to_le_bytes());
        }
        let read = Seasons::decode(&mut Reader::new(&bytes)).unwrap();
        let watch = Watch::with_seasons(&read);
        let effect = watch.traffic.season().effect(1_700_006_400.0);
        assert!(effect.is_finite() && effect.abs() < 100.0, "{effect}");
    }
}
