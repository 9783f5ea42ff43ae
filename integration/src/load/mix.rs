//! How often each route is asked for.

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::shop::Route;

/// Weights of the routes; only their ratios count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: [u32; Route::ALL.len()],
}

impl Mix {
    /// No route at all; fill it with [`with`](Self::with).
    #[must_use]
    pub fn empty() -> Self {
        Self {
            weights: [0; Route::ALL.len()],
        }
    }

    /// One route alone.
    #[must_use]
    pub fn only(route: Route) -> Self {
        Self::empty().with(route, 1)
    }

    /// Many checkouts, as in a sale: the same routes as the default in other shares.
    #[must_use]
    pub fn buying() -> Self {
        Self::empty()
            .with(Route::Home, 5)
            .with(Route::Products, 10)
            .with(Route::Product, 20)
            .with(Route::AddToCart, 25)
            .with(Route::Cart, 20)
            .with(Route::Checkout, 20)
    }

    /// Replaces one route's weight.
    #[must_use]
    pub fn with(mut self, route: Route, weight: u32) -> Self {
        if let Some(slot) = self.weights.get_mut(route.index()) {
            *slot = weight;
        }
        self
    }

    /// Sum of the weights.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights.iter().map(|weight| u64::from(*weight)).sum()
    }

    /// Draws a route; `Home` where every weight is 0.
    pub(super) fn draw(&self, rng: &mut SmallRng) -> Route {
        let mut left = rng.random_range(0..self.total().max(1));
        for (route, weight) in Route::ALL.into_iter().zip(self.weights) {
            match left.checked_sub(u64::from(weight)) {
                Some(rest) => left = rest,
                None => return route,
            }
        }
        Route::Home
    }
}

impl Default for Mix {
    /// Browsing: 15 % home, 20 % list, 35 % products, 10 % add to cart, 12 % cart, 8 % checkout.
    fn default() -> Self {
        Self::empty()
            .with(Route::Home, 15)
            .with(Route::Products, 20)
            .with(Route::Product, 35)
            .with(Route::AddToCart, 10)
            .with(Route::Cart, 12)
            .with(Route::Checkout, 8)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn routes_are_drawn_by_weight_and_those_without_weight_never() {
        let mut rng = SmallRng::seed_from_u64(5);
        let drawn: Vec<Route> = (0..10_000).map(|_| Mix::default().draw(&mut rng)).collect();
        let count = |route| drawn.iter().filter(|drawn| **drawn == route).count();
        assert!((3_300..3_700).contains(&count(Route::Product)));
        assert!((700..900).contains(&count(Route::Checkout)));
        assert_eq!(count(Route::Health), 0);
    }
}
