//! The newest exchanges of the candidate that are in a category, on one route: for the owner to look
//! up. They take part in no decision.

use super::trial::bit;
use crate::config::Plan;
use crate::count::examples::Example;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most examples of one category that are told.
pub(super) const MAX_TOLD: usize = 3;
/// Most examples of one route.
const MAX_OF_ROUTE: usize = 9;

/// An exchange and the categories that it is in.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Inside {
    /// Per question, one bit.
    questions: u64,
    example: Example,
}

/// The examples of one route, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Examples(Vec<Inside>);

impl Examples {
    /// Adds an exchange that is in the categories of these questions. Of a known one that was in
    /// flight more is known now.
    pub(super) fn add(&mut self, questions: u64, example: &Example) {
        if questions == 0 {
            return;
        }
        let mut added = Inside {
            questions,
            example: *example,
        };
        let known = |it: &Inside| {
            it.example.started_ms == example.started_ms && it.example.id == example.id
        };
        if let Some(place) = self.0.iter().position(known) {
            added.questions |= self.0.remove(place).questions;
        }
        self.0.push(added);
        if self.0.len() > MAX_OF_ROUTE {
            let place = self.least_needed();
            self.0.remove(place);
        }
    }

    /// The oldest one whose categories all have enough newer ones; else the oldest.
    fn least_needed(&self) -> usize {
        let is_needed = |place: usize| {
            let newer = self.0.get(place + 1..).unwrap_or_default();
            let questions = self.0.get(place).map_or(0, |it| it.questions);
            (0..u64::BITS as usize)
                .map(bit)
                .filter(|bit| questions & bit != 0)
                .any(|bit| newer.iter().filter(|it| it.questions & bit != 0).count() < MAX_TOLD)
        };
        (0..self.0.len())
            .find(|place| !is_needed(*place))
            .unwrap_or_default()
    }

    /// Those in a category, the newest first.
    pub(super) fn of(&self, question: usize) -> impl Iterator<Item = &Example> {
        self.0
            .iter()
            .rev()
            .filter(move |it| it.questions & bit(question) != 0)
            .map(|it| &it.example)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes those of the questions that there is evidence in: the others may be forgotten.
    pub(super) fn encode(&self, writer: &mut Writer, questions: u64) {
        let told: Vec<(u64, &Example)> = self
            .0
            .iter()
            .map(|it| (it.questions & questions, &it.example))
            .filter(|(questions, _)| *questions != 0)
            .collect();
        writer.list(&told, |(questions, example), writer| {
            writer.u64(*questions);
            example.encode(writer);
        });
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut examples = reader.list(MAX_OF_ROUTE, |reader| {
            Ok(Inside {
                questions: reader.u64()?,
                example: Example::decode(reader)?,
            })
        })?;
        if !plan.examples {
            examples.clear();
        }
        Ok(Self(examples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::examples::Id;

    fn example(number: u64) -> Example {
        Example {
            started_ms: number,
            id: Id::clean(format!("request-{number}").as_bytes()),
            ..Example::default()
        }
    }

    fn told(examples: &Examples, question: usize) -> Vec<u64> {
        examples.of(question).map(|it| it.started_ms).collect()
    }

    #[test]
    fn a_frequent_category_does_not_push_out_a_rare_one() {
        let mut examples = Examples::default();
        (0..3).for_each(|number| examples.add(bit(1), &example(number)));
        (3..100).for_each(|number| examples.add(bit(0), &example(number)));
        examples.add(0, &example(100));
        assert_eq!(told(&examples, 1), [2, 1, 0]);
        assert_eq!(told(&examples, 0)[..3], [99, 98, 97]);
        assert!(examples.0.len() <= MAX_OF_ROUTE);
        (200..300).for_each(|number| examples.add(1 << (number % 64), &example(number)));
        assert!(examples.0.len() <= MAX_OF_ROUTE);
    }

    #[test]
    fn an_exchange_is_told_once() {
        let mut examples = Examples::default();
        examples.add(bit(0), &example(1));
        examples.add(bit(2), &example(1));
        assert_eq!(told(&examples, 0), [1]);
        assert_eq!(told(&examples, 2), [1]);
    }

    #[test]
    fn only_categories_with_evidence_are_written_and_none_under_a_plan_without() {
        let mut examples = Examples::default();
        examples.add(bit(0) | bit(1), &example(1));
        examples.add(bit(1), &example(2));
        let mut writer = Writer::new();
        examples.encode(&mut writer, bit(0));
        let bytes = writer.into_bytes();
        let read = |config: &str| {
            let plan = Plan::from_json(config).unwrap();
            Examples::decode(&plan, &mut Reader::new(&bytes)).unwrap()
        };
        let with = read("{}");
        assert_eq!((told(&with, 0), told(&with, 1)), (vec![1], vec![]));
        assert_eq!(read(r#"{"examples": false}"#), Examples::default());
    }
}
