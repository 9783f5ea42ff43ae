//! What the leader tells every worker: who was merged how far, what to do with each destination,
//! from when on a request in flight is slow, and how baselines are split in halves.

use crate::sync::mailbox::{Acknowledged, decode_acknowledged, encode_acknowledged};
use scorer_sdk::count::halves::Halves;
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::limits::MAX_VERSION_BYTES;
use scorer_sdk::route::RouteKey;
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

const MAX_DESTINATIONS: usize = 256;
const MAX_VERSIONS: usize = 16;
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
    /// How baselines are split for the placebo.
    pub halves: Vec<Halves>,
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
        writer.length(self.condemned_versions.len());
        self.condemned_versions
            .iter()
            .for_each(|name| writer.text(name));
        writer.length(self.condemned.len());
        for (route, category) in &self.condemned {
            route.encode(writer);
            writer.text(category);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut directive = Self {
            destination: reader
                .text(scorer_sdk::route::key::MAX_PART_BYTES)?
                .to_owned(),
            baseline: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            candidate: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            verdict: Verdict::from_number(reader.u8()?),
            steer_share: reader.f64()?,
            condemned_versions: Vec::new(),
            condemned: Vec::new(),
        };
        for _ in 0..reader.length(MAX_VERSIONS)? {
            directive
                .condemned_versions
                .push(reader.text(MAX_VERSION_BYTES)?.to_owned());
        }
        for _ in 0..reader.length(MAX_CONDEMNED)? {
            let route = RouteKey::decode(reader)?;
            directive
                .condemned
                .push((route, reader.text(MAX_CATEGORY_BYTES)?.to_owned()));
        }
        Ok(directive)
    }
}

impl Publication {
    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.number);
        encode_acknowledged(&self.acknowledged, &mut writer);
        writer.length(self.directives.len());
        self.directives
            .iter()
            .for_each(|directive| directive.encode(&mut writer));
        writer.length(self.cuts.len().min(MAX_CUTS));
        for (route, cut) in self.cuts.iter().take(MAX_CUTS) {
            route.encode(&mut writer);
            writer.u64(*cut);
        }
        writer.length(self.halves.len());
        self.halves
            .iter()
            .for_each(|halves| halves.encode(&mut writer));
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
        let mut publication = Self {
            number: reader.u64()?,
            acknowledged: decode_acknowledged(&mut reader)?,
            ..Self::default()
        };
        for _ in 0..reader.length(MAX_DESTINATIONS)? {
            publication.directives.push(Directive::decode(&mut reader)?);
        }
        for _ in 0..reader.length(MAX_CUTS)? {
            let route = RouteKey::decode(&mut reader)?;
            publication.cuts.push((route, reader.u64()?));
        }
        for _ in 0..reader.length(MAX_DESTINATIONS)? {
            publication.halves.push(Halves::decode(&mut reader)?);
        }
        reader.finish()?;
        Ok(publication)
    }
}
