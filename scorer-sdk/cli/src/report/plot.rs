//! Plots as SVG within a page: lines over a pair of axes.
//!
//! The drawing holds marks and the numbers at the axes. Title, legend and the axes' names are text
//! of the page, so that they wrap on a phone. Colours are placeholders which the page's style sheet
//! replaces, so that they follow the reader's light or dark theme.

use super::clock;
use crate::document::{Plot, Series};
use crate::number::short;
use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    ChartBuilder, IntoDrawingArea, IntoFont, LineSeries, RGBColor, SVGBackend, TRANSPARENT,
};
use std::ops::Range;

/// Width and height of the drawing's own grid.
const SIZE: (u32, u32) = (960, 460);
/// Points of one line that are drawn: about one for each step of the grid.
const MAX_POINTS: usize = 1_000;
/// Lines that are drawn in one plot.
const MAX_SERIES: usize = 16;
/// Colours that the style sheet has for lines.
pub const LINE_COLOURS: usize = 7;
/// Largest size of a number on an axis, and smallest on a logarithmic one.
const LARGEST: f64 = 1e15;
/// Smallest span of an axis, relative to its numbers: below, ticks could not be told apart.
const SMALLEST_SPAN: f64 = 1e-6;

/// Placeholder of the grid's lines.
const GRID: RGBColor = RGBColor(1, 0, 0);
/// Placeholder of the axes.
const AXIS: RGBColor = RGBColor(1, 0, 1);
/// Placeholder of the numbers at the axes.
const TEXT: RGBColor = RGBColor(1, 0, 2);
/// Placeholder of the lines to compare with.
const LEVEL: RGBColor = RGBColor(1, 0, 3);
/// Markers that are drawn in one plot.
const MAX_MARKERS: usize = 2;

/// Placeholder of a marker.
fn marker_colour(index: usize) -> RGBColor {
    RGBColor(1, 1, index as u8)
}

/// A plot with its title, its legend and a description for those who do not see it.
#[must_use]
pub fn figure(plot: &Plot) -> Markup {
    let shown: Vec<&Series> = plot.series.iter().take(MAX_SERIES).collect();
    html! {
        figure.plot {
            figcaption { (plot.title) }
            @if shown.len() > 1 || !plot.levels.is_empty() || !plot.markers.is_empty() {
                ul.legend {
                    @for (index, series) in shown.iter().enumerate() {
                        li { span class=(format!("key line-{}", index % LINE_COLOURS)) {} (series.name) }
                    }
                    @for level in &plot.levels {
                        li { span.key.level {} (level.name) " (" (short(level.y)) ")" }
                    }
                    @for (index, marker) in plot.markers.iter().take(MAX_MARKERS).enumerate() {
                        li { span class=(format!("key upright marker-{index}")) {} (marker.name) (at(plot, marker.x)) }
                    }
                }
            }
            p.axis { (plot.y_label) }
            @match drawing(plot, &shown) {
                Some(inside) => svg viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img"
                    aria-label=(description(plot, &shown)) { (PreEscaped(inside)) },
                None => p.nothing { "No data." },
            }
            p.axis.below { (plot.x_label) }
            @if plot.series.len() > MAX_SERIES {
                p.note { "The first " (MAX_SERIES) " of " (plot.series.len()) " lines." }
            }
        }
    }
}

/// The time of day of a position, in brackets, where the axis shows times.
fn at(plot: &Plot, x: f64) -> String {
    match plot.time_zero {
        Some(zero) => format!(" ({})", clock::tick(zero + x, 1.0)),
        None => String::new(),
    }
}

/// What a plot shows, in words.
fn description(plot: &Plot, shown: &[&Series]) -> String {
    let mut text = format!("{}: {} by {}.", plot.title, plot.y_label, plot.x_label);
    for series in shown {
        let ys = || series.points.iter().map(|point| point[1]);
        if let Some(last) = ys().next_back() {
            let low = ys().fold(f64::INFINITY, f64::min);
            let high = ys().fold(f64::NEG_INFINITY, f64::max);
            text.push_str(&format!(
                " {}: from {} to {}, at last {}.",
                series.name,
                short(low),
                short(high),
                short(last)
            ));
        }
    }
    for level in &plot.levels {
        text.push_str(&format!(" {}: {}.", level.name, short(level.y)));
    }
    for marker in plot.markers.iter().take(MAX_MARKERS) {
        text.push_str(&format!(" {}{}.", marker.name, at(plot, marker.x)));
    }
    text
}

/// The inside of the SVG element; nothing when there is no point to draw.
fn drawing(plot: &Plot, shown: &[&Series]) -> Option<String> {
    let usable = |[x, y]: [f64; 2]| {
        x.is_finite()
            && y.is_finite()
            && (!plot.logarithmic_x || x > 0.0)
            && (!plot.logarithmic_y || y > 0.0)
    };
    let lines: Vec<Vec<(f64, f64)>> = shown
        .iter()
        .map(|series| {
            let points: Vec<[f64; 2]> = series
                .points
                .iter()
                .copied()
                .filter(|at| usable(*at))
                .collect();
            let every = points.len().div_ceil(MAX_POINTS).max(1);
            let last = points.len().saturating_sub(1);
            points
                .iter()
                .enumerate()
                .filter(|(index, _)| index.is_multiple_of(every) || *index == last)
                .map(|(_, [x, y])| (x.clamp(-LARGEST, LARGEST), y.clamp(-LARGEST, LARGEST)))
                .collect()
        })
        .collect();
    let levels: Vec<f64> = plot
        .levels
        .iter()
        .map(|level| level.y)
        .filter(|y| usable([1.0, *y]) && y.abs() <= LARGEST)
        .collect();
    let points = || lines.iter().flatten();
    points().next()?;
    let markers: Vec<f64> = plot
        .markers
        .iter()
        .take(MAX_MARKERS)
        .map(|marker| marker.x)
        .filter(|x| usable([*x, 1.0]) && x.abs() <= LARGEST)
        .collect();
    let x = Axis {
        time_zero: plot.time_zero,
        ..Axis::around(
            points().map(|point| point.0).chain(markers.iter().copied()),
            plot.logarithmic_x,
            0.0,
        )?
    };
    let zero = (plot.from_zero && !plot.logarithmic_y).then_some(0.0);
    let y = Axis::around(
        points()
            .map(|point| point.1)
            .chain(levels.iter().copied())
            .chain(zero),
        plot.logarithmic_y,
        0.04,
    )?;
    let mut svg = String::new();
    draw(&mut svg, &lines, (&levels, &markers), x, y).ok()?;
    // The element itself is the page's: it carries the description.
    let inside = svg.split_once('>')?.1;
    Some(inside.trim_end().trim_end_matches("</svg>").to_owned())
}

type Failure = Box<dyn std::error::Error>;

fn draw(
    svg: &mut String,
    lines: &[Vec<(f64, f64)>],
    (levels, markers): (&[f64], &[f64]),
    x: Axis,
    y: Axis,
) -> Result<(), Failure> {
    let ends = [x.low, x.high];
    let heights = [y.low, y.high];
    let (time_zero, step) = (x.time_zero, clock::step(x.high - x.low));
    let label_of_x = |value: &f64| match time_zero {
        Some(zero) => clock::tick(zero + value, step),
        None => short(*value),
    };
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let fail = |error: &dyn std::fmt::Display| Failure::from(error.to_string());
    let mut chart = ChartBuilder::on(&root)
        .margin_top(20)
        .margin_right(64)
        .margin_bottom(4)
        .margin_left(4)
        .x_label_area_size(52)
        .y_label_area_size(104)
        .build_cartesian_2d(x, y)
        .map_err(|error| fail(&error))?;
    chart
        .configure_mesh()
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&label_of_x)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(AXIS)
        .label_style(("sans-serif", 28).into_font().color(&TEXT))
        .draw()
        .map_err(|error| fail(&error))?;
    for level in levels {
        let line = ends.map(|x| (x, *level));
        chart
            .draw_series(LineSeries::new(line, LEVEL.stroke_width(3)))
            .map_err(|error| fail(&error))?;
    }
    for (index, x) in markers.iter().enumerate() {
        let line = heights.map(|y| (*x, y));
        let colour = marker_colour(index);
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(3)))
            .map_err(|error| fail(&error))?;
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = RGBColor(2, 0, (index % LINE_COLOURS) as u8);
        let series = LineSeries::new(line.iter().copied(), colour.stroke_width(4));
        chart.draw_series(series).map_err(|error| fail(&error))?;
    }
    root.present().map_err(|error| fail(&error))
}

use plotters::style::Color as _;

/// One axis, linear or logarithmic.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Seconds since the Unix epoch at 0, where it shows the time of day.
    time_zero: Option<f64>,
}

impl Axis {
    /// An axis that holds all `values`, with room for `margin` of the span at both ends; none for
    /// no values. A linear one that comes near zero begins there.
    fn around(values: impl Iterator<Item = f64>, logarithmic: bool, margin: f64) -> Option<Self> {
        let (mut low, mut high) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            return None;
        }
        if logarithmic {
            low = low.max(1.0 / LARGEST);
            high = high.max(low);
            let room = ((high / low).ln() * margin).exp();
            (low, high) = (low / room, high * room);
            if high < low * 1.5 {
                (low, high) = (low / 1.5, high * 1.5);
            }
        } else {
            let room = (high - low) * margin;
            if low > 0.0 && low < 0.5 * high {
                low = 0.0;
            } else if low != 0.0 {
                low -= room;
            }
            high += room;
            let size = low.abs().max(high.abs());
            if high - low < size * SMALLEST_SPAN || high <= low {
                let room = if size == 0.0 { 1.0 } else { size * 0.1 };
                (low, high) = (if low == 0.0 { 0.0 } else { low - room }, high + room);
            }
        }
        Some(Self {
            low,
            high,
            logarithmic,
            time_zero: None,
        })
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let span = f64::from(limit.1) - f64::from(limit.0);
        (f64::from(limit.0) + (span * part).round()) as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if let Some(zero) = self.time_zero {
            let step = clock::step(self.high - self.low);
            let first = ((zero + self.low) / step).ceil() as i64;
            let last = ((zero + self.high) / step).floor() as i64;
            return (first..=last.min(first.saturating_add(20)))
                .map(|number| number as f64 * step - zero)
                .collect();
        }
        let decades = (self.high / self.low).log10();
        if !self.logarithmic || decades < 0.7 {
            return RangedCoordf64::from(self.low..self.high).key_points(hint);
        }
        let steps: &[f64] = match decades {
            ..2.2 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        // At most some seven labels over up to thirty decades.
        let every = (decades / 7.0).ceil().max(1.0) as i32;
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        (first..=last)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .flat_map(|exponent| steps.iter().map(move |step| step * 10f64.powi(exponent)))
            .filter(|value| (self.low..=self.high).contains(value))
            .collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        short(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Level, Marker};

    fn plot(points: Vec<[f64; 2]>) -> Plot {
        Plot {
            title: "<b>Evidence</b>".to_owned(),
            x_label: "requests".to_owned(),
            y_label: "nats".to_owned(),
            series: vec![Series {
                name: "a & b".to_owned(),
                points,
            }],
            levels: vec![Level {
                name: "enough".to_owned(),
                y: 4.6,
            }],
            ..Plot::default()
        }
    }

    #[test]
    fn a_plot_is_drawn_described_and_escaped() {
        let text = figure(&plot(vec![[0.0, 0.0], [1.0, 2.0], [2.0, 6.0]])).into_string();
        assert!(text.contains("<polyline"), "{text}");
        assert!(text.contains("role=\"img\""));
        assert!(text.contains("a &amp; b: from 0 to 6, at last 6. enough: 4.6."));
        assert!(text.contains("&lt;b&gt;Evidence") && !text.contains("<b>"));
        assert_eq!(text.matches("<svg").count(), 1);
        assert_eq!(text.matches("</svg>").count(), 1);
    }

    #[test]
    fn a_time_axis_shows_the_time_of_day_and_what_happened() {
        let mut plot = plot((0..900).map(|at| [f64::from(at), 5.0]).collect());
        plot.time_zero = Some(1_700_000_000.0);
        plot.from_zero = true;
        plot.markers = vec![Marker {
            name: "worse".to_owned(),
            x: 30.0,
        }];
        let text = figure(&plot).into_string();
        assert!(text.contains("22:15") && text.contains("22:20"), "{text}");
        assert!(text.contains("worse (22:13:50)"), "{text}");
        assert!(text.contains("#010100"), "{text}");
    }

    #[test]
    fn no_numbers_and_strange_numbers_do_no_harm() {
        assert!(figure(&plot(Vec::new())).into_string().contains("No data."));
        let strange = [
            [f64::NAN, 1.0],
            [0.0, f64::INFINITY],
            [f64::MAX, f64::MIN],
            [1e15, 1e15 + 1.0],
            [-1.0, 0.0],
            [1e-300, 1e-300],
        ];
        for (x, y) in [(false, false), (true, false), (false, true), (true, true)] {
            for points in [
                strange.to_vec(),
                vec![[5.0, 5.0]],
                vec![[1e15, 1e15], [1e15, 1e15 - 1.0]],
            ] {
                let mut plot = plot(points);
                (plot.logarithmic_x, plot.logarithmic_y) = (x, y);
                assert!(figure(&plot).into_string().contains("</figure>"));
                plot.levels.clear();
                assert!(figure(&plot).into_string().contains("</figure>"));
            }
        }
    }

    #[test]
    fn a_line_of_a_million_points_is_thinned_and_keeps_its_end() {
        let points = (0..1_000_000)
            .map(|index| [f64::from(index), f64::from(index)])
            .collect();
        let text = figure(&plot(points)).into_string();
        assert!(text.len() < 40_000, "{}", text.len());
        assert!(text.contains("at last 1M"));
    }

    #[test]
    fn a_logarithmic_axis_has_round_numbers() {
        let axis = |low, high| Axis {
            low,
            high,
            logarithmic: true,
            time_zero: None,
        };
        let decades = axis(0.5, 2e4).key_points(plotters::coord::ranged1d::BoldPoints(7));
        assert_eq!(decades, [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        let few = axis(4.0, 60.0).key_points(plotters::coord::ranged1d::BoldPoints(7));
        assert_eq!(few, [5.0, 10.0, 20.0, 50.0]);
        assert!(
            !axis(10.0, 12.0)
                .key_points(plotters::coord::ranged1d::BoldPoints(7))
                .is_empty()
        );
    }
}
