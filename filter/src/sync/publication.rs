//! What the leader tells every worker: who was merged how far, what to do with each destination,
//! and from when on a request in flight is slow.

use crate::sync::mailbox::{Acknowledged, decode_acknowledged, encode_acknowledged};
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::limits::{MAX_DESTINATIONS, MAX_VERSION_BYTES};
use scorer_sdk::route::RouteKey;
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

const MAX_CONDEMNED_VERSIONS: usize = 16;
const MAX_CONDEMNED: usize = 256;
const MAX_CUTS: usize = 4_096;
const MAX_CATEGORY_BYTES: usize = 64;

/// What to do with a destination.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Directive {
    /// The destination.
    pub destination: String,
    /// The stable version.
    pub baseline: String,
    /// The new version.
    pub candidate: String,
    /// What is thought of it.
    pub verdict: Option<Verdict>,
    /// Share of the requests to be steered to the baseline.
    pub steer_share: f64,
    /// Versions that requests are steered away from.
    pub condemned_versions: Vec<String>,
    /// Routes and categories that a guard may refuse.
    pub condemned: Vec<(RouteKey, String)>,
}

/// What the leader tells every worker.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Publication {
    /// Grows with every one.
    pub number: u64,
    /// How far each worker was merged.
    pub acknowledged: Acknowledged,
    /// What to do with each destination.
    pub directives: Vec<Directive>,
    /// Per route, the microseconds in flight from which on an exchange is slow.
    pub cuts: Vec<(RouteKey, u64)>,
}

impl Directive {
    /// What a decision comes to.
    #[must_use]
    pub fn new(decision: &Decision) -> Self {
        Self {
            destination: decision.destination.clone(),
            baseline: decision.baseline.clone(),
            candidate: decision.candidate.clone(),
            verdict: (!decision.candidate.is_empty()).then_some(decision.verdict),
            steer_share: decision.steer_share,
            condemned_versions: decision.condemned_versions.clone(),
            condemned: decision
                .condemned
                .iter()
                .take(MAX_CONDEMNED)
                .map(|(route, category)| (route.clone(), (*category).to_owned()))
                .collect(),
        }
    }

    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.destination);
        writer.text(&self.baseline);
        writer.text(&self.candidate);
        writer.u8(self.verdict.map_or(u8::MAX, Verdict::number));
        writer.f64(self.steer_share);
        writer.list(&self.condemned_versions, |name, writer| writer.text(name));
        writer.list(&self.condemned, |(route, category), writer| {
            route.encode(writer);
            writer.text(category);
        });
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let version = |reader: &mut Reader<'_>| reader.text(MAX_VERSION_BYTES).map(str::to_owned);
        Ok(Self {
            destination: reader
                .text(scorer_sdk::route::key::MAX_PART_BYTES)?
                .to_owned(),
            baseline: version(reader)?,
            candidate: version(reader)?,
            verdict: Verdict::from_number(reader.u8()?),
            steer_share: reader.f64()?,
            condemned_versions: reader.list(MAX_CONDEMNED_VERSIONS, version)?,
            condemned: reader.list(MAX_CONDEMNED, |reader| {
                let route = RouteKey::decode(reader)?;
                Ok((route, reader.text(MAX_CATEGORY_BYTES)?.to_owned()))
            })?,
        })
    }
}

impl Publication {
    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.number);
        encode_acknowledged(&self.acknowledged, &mut writer);
        writer.list(&self.directives, Directive::encode);
        let cuts = self.cuts.get(..MAX_CUTS).unwrap_or(&self.cuts);
        writer.list(cuts, |(route, cut), writer| {
            route.encode(writer);
            writer.u64(*cut);
        });
        writer.into_bytes()
    }

    /// Its number alone.
    #[must_use]
    pub fn peek_number(bytes: &[u8]) -> Option<u64> {
        Reader::new(bytes).u64().ok()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the bytes are not a publication.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let publication = Self {
            number: reader.u64()?,
            acknowledged: decode_acknowledged(&mut reader)?,
            directives: reader.list(MAX_DESTINATIONS, Directive::decode)?,
            cuts: reader.list(MAX_CUTS, |reader| {
                Ok((RouteKey::decode(reader)?, reader.u64()?))
            })?,
        };
        reader.finish()?;
        Ok(publication)
    }
}
