//! What the baseline showed on one route.

use crate::limits::MAX_SIGNALS;
use crate::route::RouteKey;
use crate::sketch::{DecayedCounts, NameTable};
use crate::wire::codec::{CodecError, Reader, Writer};

/// What the baseline showed on one route, decayed.
#[derive(Debug, Clone, PartialEq)]
pub struct RememberedRoute {
    /// The route.
    pub key: RouteKey,
    /// Per signal, the names behind the codes.
    pub names: Vec<NameTable>,
    /// Per signal, what was counted.
    pub counts: Vec<DecayedCounts>,
}

impl RememberedRoute {
    /// Decayed exchanges, by the signal that saw most of them.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.counts
            .iter()
            .map(DecayedCounts::total)
            .fold(0.0, f64::max)
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.key.encode(writer);
        writer.list(&self.names, NameTable::encode);
        writer.list(&self.counts, DecayedCounts::encode);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            key: RouteKey::decode(reader)?,
            names: reader.list(MAX_SIGNALS, NameTable::decode)?,
            counts: reader.list(MAX_SIGNALS, DecayedCounts::decode)?,
        })
    }
}
