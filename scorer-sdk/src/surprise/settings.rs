//! Bounds of a model, and how fast it forgets.

/// Bounds of the bounds, for bytes from outside.
pub(super) const MOST_ROUTES: usize = 4096;
pub(super) const MOST_FEATURES: usize = 4096;
pub(super) const MOST_TOKENS: usize = 1024;

/// Bounds of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most routes, at most 4,096.
    pub routes: usize,
    /// Most features of a route, at most 4,096.
    pub features: usize,
    /// Most tokens of one feature on one route, at most 1,024.
    pub tokens: usize,
    /// Most tokens of all features and routes together; one takes 24 bytes.
    pub all_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            routes: 256,
            features: 48,
            tokens: 48,
            all_tokens: 32_768,
        }
    }
}

/// How a model learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Its bounds.
    pub limits: Limits,
    /// What is left of every count after an epoch, 0 to 1.
    pub keep: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            keep: 0.98,
        }
    }
}
