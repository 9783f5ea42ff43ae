//! Which signals are on, and what is asked of them.

use super::check::{MAX_LIST, duration, number, unknown};
use super::error::ConfigError;
use super::raw::Config;
use crate::limits::{MAX_CATEGORY_BYTES, MAX_QUESTIONS, MAX_SIGNALS};
use crate::signal::body_shape::BodyShape;
use crate::signal::content_type::ContentType;
use crate::signal::fan_out::FanOut;
use crate::signal::header_names::HeaderNameSet;
use crate::signal::latency::Latency;
use crate::signal::next_call::NextCall;
use crate::signal::outcome::Outcome;
use crate::signal::request::{RequestHeaders, RequestSize};
use crate::signal::size::Size;
use crate::signal::{Input, Question, Side, Signal};

/// Signals, and their questions with the index of each one's signal.
pub(super) type Signals = (Vec<Box<dyn Signal>>, Vec<(usize, Question)>);

/// The signals that are on, with their questions at the tolerances asked for.
pub(super) fn signals(raw: &Config, own: Vec<Box<dyn Signal>>) -> Result<Signals, ConfigError> {
    let all: Vec<Box<dyn Signal>> = built_in(raw)?.into_iter().chain(own).collect();
    let known: Vec<&str> = all.iter().map(|signal| signal.name()).collect();
    if let Some(name) = raw
        .signals
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(unknown(&format!("signals.{name}"), name, &known.join(", ")));
    }
    // A guard sees one version: there is no balance to check.
    let guarded = raw.reject.reference.is_some();
    let signals: Vec<Box<dyn Signal>> = all
        .into_iter()
        .filter(|signal| {
            let default = signal.inputs().iter().all(|input| match input {
                // Behind another proxy a connection is not one client's.
                Input::Sessions => raw.session.from.is_some(),
                // Bodies are looked at only where that is asked for.
                Input::Bodies => raw.body.is_some(),
                // Somebody has to report it, and every response is asked for the report.
                Input::FanOut => false,
            });
            raw.signals.get(signal.name()).copied().unwrap_or(default)
        })
        .filter(|signal| !(guarded && signal.side() == Side::Request))
        .collect();
    if signals.is_empty() || signals.len() > MAX_SIGNALS {
        return Err(ConfigError::new(
            "signals",
            format!("{} signals are on", signals.len()),
            format!("leave 1 to {MAX_SIGNALS} on"),
        ));
    }
    let mut questions: Vec<(usize, Question)> = (0..)
        .zip(&signals)
        .flat_map(|(index, signal)| {
            signal
                .questions()
                .into_iter()
                .map(move |question| (index, question))
        })
        .collect();
    if questions.is_empty() {
        return Err(ConfigError::new(
            "signals",
            "nothing is left that could be worse",
            "leave one on that looks at responses, such as `outcome`",
        ));
    }
    if questions.len() > MAX_QUESTIONS {
        return Err(ConfigError::new(
            "signals",
            format!("{} questions are asked", questions.len()),
            format!("leave signals on that ask at most {MAX_QUESTIONS}"),
        ));
    }
    if let Some((_, question)) = questions
        .iter()
        .find(|(_, question)| !(1..=MAX_CATEGORY_BYTES).contains(&question.name.len()))
    {
        return Err(ConfigError::new(
            "signals",
            format!("the name of a question has {} bytes", question.name.len()),
            format!("give it 1 to {MAX_CATEGORY_BYTES} bytes, or turn its signal off"),
        ));
    }
    for (name, tolerance) in &raw.tolerance {
        let path = format!("tolerance.{name}");
        let tolerance = number(
            &path,
            Some(*tolerance),
            1.0,
            1.0..=1000.0,
            "an odds ratio from 1 to 1000; 1.5 tolerates half as much again",
        )?;
        let names: Vec<&str> = questions
            .iter()
            .map(|(_, question)| question.name)
            .collect();
        match questions
            .iter()
            .position(|(_, question)| question.name == name)
        {
            None => return Err(unknown(&path, name, &names.join(", "))),
            Some(index) => {
                if let Some((_, question)) = questions.get_mut(index) {
                    question.tolerance = tolerance;
                }
            }
        }
    }
    let total: f64 = questions.iter().map(|(_, question)| question.weight).sum();
    for (_, question) in &mut questions {
        question.weight /= total;
    }
    Ok((signals, questions))
}

/// The built-in signals in the order in which every plan has them.
fn built_in(raw: &Config) -> Result<[Box<dyn Signal>; 10], ConfigError> {
    if raw.ignored_headers.len() > MAX_LIST {
        return Err(ConfigError::new(
            "ignored_headers",
            format!("more than {MAX_LIST} names"),
            "list fewer",
        ));
    }
    let latency = Latency {
        margin: number(
            "latency.margin",
            raw.latency.margin,
            Latency::default().margin,
            0.0..=10.0,
            "a share such as 0.2",
        )?,
        floor_us: duration(
            "latency.floor",
            raw.latency.floor.as_deref(),
            "5ms",
            "0s",
            "1h",
        )?
        .as_micros() as u64,
    };
    let size = Size {
        margin: number(
            "size.margin",
            raw.size.margin,
            0.1,
            0.0..=10.0,
            "a share such as 0.1",
        )?,
    };
    let header_names = HeaderNameSet {
        ignored: raw
            .ignored_headers
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
    };
    Ok([
        Box::new(Outcome),
        Box::new(latency),
        Box::new(size),
        Box::new(ContentType),
        Box::new(header_names),
        Box::new(BodyShape),
        Box::new(FanOut),
        Box::new(NextCall),
        Box::new(RequestSize),
        Box::new(RequestHeaders),
    ])
}
