//! Which version is what.

use crate::judge::RememberedRollout;
use crate::limits::MAX_VERSION_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most condemned versions.
const MAX_CONDEMNED: usize = 8;

/// Which versions a destination has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roles {
    /// The stable version.
    pub baseline: String,
    /// The new version, where there is one.
    pub candidate: Option<Candidate>,
    /// Versions that were found anomalous and still had traffic; the candidate may be one of them.
    pub condemned: Vec<String>,
}

/// The new version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its rollout, if a verdict has fallen.
    pub rollout: Option<RememberedRollout>,
}

impl Roles {
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.baseline);
        writer.option(self.candidate.as_ref(), |candidate, writer| {
            writer.text(&candidate.name);
            writer.option(candidate.rollout.as_ref(), RememberedRollout::encode);
        });
        let condemned = self.condemned.get(..MAX_CONDEMNED);
        writer.list(condemned.unwrap_or(&self.condemned), |name, writer| {
            writer.text(name);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let name = |reader: &mut Reader<'_>| reader.text(MAX_VERSION_BYTES).map(str::to_owned);
        Ok(Self {
            baseline: name(reader)?,
            candidate: reader.option(|reader| {
                Ok(Candidate {
                    name: name(reader)?,
                    rollout: reader.option(RememberedRollout::decode)?,
                })
            })?,
            condemned: reader.list(MAX_CONDEMNED, name)?,
        })
    }
}
