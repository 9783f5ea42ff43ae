//! What the leader tells every worker: who was merged how far, what to do with each destination,
//! and from when on a request in flight is slow.

use crate::sync::mailbox::{Acknowledged, decode_acknowledged, encode_acknowledged};
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::limits::{MAX_CATEGORY_BYTES, MAX_DESTINATIONS, MAX_VERSION_BYTES};
use scorer_sdk::route::RouteKey;
use scorer_sdk::wire::codec::{CodecError, Damage, Reader, Writer};

const MAX_CONDEMNED_VERSIONS: usize = 16;
const MAX_CONDEMNED: usize = 256;
const MAX_CUTS: usize = 4_096;

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
            condemned_versions: decision
                .condemned_versions
                .iter()
                .take(MAX_CONDEMNED_VERSIONS)
                .cloned()
                .collect(),
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
        writer.parts(&self.directives, Directive::encode);
        let cuts = self.cuts.get(..MAX_CUTS).unwrap_or(&self.cuts);
        writer.parts(cuts, |(route, cut), writer| {
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

    /// Reads as much of it as can be read; `damage` counts the rest. What was merged comes first, so
    /// that a worker goes on handing in although it does not understand what to do.
    #[must_use]
    pub fn salvage(bytes: &[u8], damage: &mut Damage) -> Self {
        let mut publication = Self::default();
        if let Err(error) = publication.read(Reader::new(bytes), damage) {
            damage.note(error);
        }
        publication
    }

    fn read(&mut self, mut reader: Reader<'_>, damage: &mut Damage) -> Result<(), CodecError> {
        self.number = reader.u64()?;
        self.acknowledged = decode_acknowledged(&mut reader)?;
        self.directives = reader.parts(MAX_DESTINATIONS, damage, Directive::decode)?;
        self.cuts = reader.parts(MAX_CUTS, damage, |reader| {
            Ok((RouteKey::decode(reader)?, reader.u64()?))
        })?;
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::route::key::MAX_PART_BYTES;

    /// As long as each text may be, and as many as there may be.
    fn largest() -> Publication {
        let route = |number: usize| RouteKey {
            destination: "d".repeat(MAX_PART_BYTES),
            route_name: "r".repeat(MAX_PART_BYTES),
            method: "*".to_owned(),
            path: format!("{number:/>MAX_PART_BYTES$}"),
        };
        let name = |letter: &str| letter.repeat(MAX_VERSION_BYTES);
        let decision = Decision {
            destination: "d".repeat(MAX_PART_BYTES),
            baseline: name("b"),
            candidate: name("c"),
            verdict: Verdict::Anomalous,
            steer_share: 1.0,
            condemned_versions: vec![name("c"); 2 * MAX_CONDEMNED_VERSIONS],
            condemned: (0..2 * MAX_CONDEMNED)
                .map(|number| (route(number), "error"))
                .collect(),
            ..Decision::default()
        };
        Publication {
            number: u64::MAX,
            acknowledged: vec![(u64::MAX, u64::MAX); 256],
            directives: vec![Directive::new(&decision); 3],
            cuts: (0..2 * MAX_CUTS).map(|cut| (route(cut), 1)).collect(),
        }
    }

    #[test]
    fn the_largest_publication_can_be_read_and_what_it_has_too_much_of_is_not_written() {
        let written = largest();
        let mut damage = Damage::default();
        let read = Publication::salvage(&written.encode(), &mut damage);
        assert_eq!(damage, Damage::default());
        assert_eq!(read.directives, written.directives);
        let [directive, ..] = &read.directives[..] else {
            panic!("no directive");
        };
        assert_eq!(directive.condemned.len(), MAX_CONDEMNED);
        assert_eq!(directive.condemned_versions.len(), MAX_CONDEMNED_VERSIONS);
        assert_eq!(read.cuts, written.cuts[..MAX_CUTS]);
        assert_eq!(read.acknowledged, written.acknowledged);
    }

    #[test]
    fn a_directive_that_cannot_be_read_leaves_the_others_and_what_was_merged() {
        let directive = |destination: &str| Directive {
            destination: destination.to_owned(),
            ..Directive::default()
        };
        let written = Publication {
            number: 7,
            acknowledged: vec![(1, 2)],
            directives: vec![directive("shop"), directive("cart")],
            cuts: Vec::new(),
        };
        let mut bytes = written.encode();
        let place = bytes.windows(4).position(|name| name == b"shop").unwrap();
        bytes[place] = 0xff;
        let mut damage = Damage::default();
        let read = Publication::salvage(&bytes, &mut damage);
        assert_eq!((read.number, damage.parts), (7, 1));
        assert_eq!(read.acknowledged, written.acknowledged);
        assert_eq!(read.directives, written.directives[1..]);
        // Cut off anywhere behind it, what was merged is known all the same.
        for end in 8 + 4 + 16..bytes.len() {
            let read = Publication::salvage(&bytes[..end], &mut damage);
            assert_eq!(read.acknowledged, written.acknowledged);
        }
    }
}
