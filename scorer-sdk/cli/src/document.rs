//! Documents: tables and plots that a command found, on their way to a terminal, a page or a file.
//!
//! A document says nothing about where its numbers come from but the command that prints them
//! again, so that one page can hold any of them.

use serde::{Deserialize, Serialize};

/// What a command found, for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// Title of the whole.
    pub title: String,
    /// The command that makes it again.
    pub command: String,
    /// Paragraphs above the tables.
    pub paragraphs: Vec<String>,
    /// Tables, in the order in which they are to be read.
    pub tables: Vec<Table>,
    /// Plots.
    pub plots: Vec<Plot>,
}

/// Rows under named columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Title.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Cells, as many in each row as there are columns.
    pub rows: Vec<Vec<String>>,
    /// Sentences below.
    pub notes: Vec<String>,
}

/// Lines over one pair of axes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plot {
    /// Title.
    pub title: String,
    /// What x is, with its unit.
    pub x_label: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// Whether x is on a logarithmic scale.
    pub logarithmic_x: bool,
    /// Whether y is on a logarithmic scale.
    pub logarithmic_y: bool,
    /// The lines.
    pub series: Vec<Series>,
    /// Where x is a time: the seconds since the Unix epoch at which x, in seconds, is 0. The axis
    /// then shows the time of day.
    pub time_zero: Option<f64>,
    /// Whether the y axis begins at zero, however far above it the lines are.
    pub from_zero: bool,
    /// Vertical lines, such as the time of a verdict.
    pub markers: Vec<Marker>,
    /// Horizontal lines to compare with, such as the evidence that is enough.
    pub levels: Vec<Level>,
}

/// One line of a plot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Series {
    /// Name, for the legend.
    pub name: String,
    /// Points (x, y), from left to right; all finite.
    pub points: Vec<[f64; 2]>,
}

/// A vertical line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Marker {
    /// What happened there.
    pub name: String,
    /// Where it is.
    pub x: f64,
}

/// A horizontal line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Level {
    /// What it stands for.
    pub name: String,
    /// Where it is.
    pub y: f64,
}
