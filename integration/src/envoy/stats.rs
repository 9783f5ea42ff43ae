//! The `/stats` page.

/// A snapshot of Envoy's counters and gauges under their full names.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    text: String,
}

impl Stats {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }

    /// The page as Envoy gave it: lines of `name: value`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One counter or gauge; `None` if there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.iter()
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The sum over all counters and gauges whose names begin and end so.
    #[must_use]
    pub fn sum(&self, prefix: &str, suffix: &str) -> u64 {
        let wanted = |name: &str| name.starts_with(prefix) && name.ends_with(suffix);
        self.iter()
            .filter(|(name, _)| wanted(name))
            .map(|(_, value)| value)
            .sum()
    }

    /// Names and values; histograms and texts are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.text.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name, value.parse().ok()?))
        })
    }
}
