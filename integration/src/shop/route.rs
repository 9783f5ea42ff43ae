//! The routes of the shop.

use std::fmt;

use hyper::Method;

/// Path of [`Route::Events`]. Its answers last longer than Envoy's default timeout for a route.
pub(crate) const EVENTS_PATH: &str = "/api/events";

/// One route of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// `GET /`: the HTML page.
    Home,
    /// `GET /api/products`: the JSON list.
    Products,
    /// `GET /api/products/{id}`.
    Product,
    /// `POST /api/cart`: JSON in, 201.
    AddToCart,
    /// `GET /api/cart/{id}`.
    Cart,
    /// `POST /api/checkout`.
    Checkout,
    /// `GET /api/events`: news of an order as a stream of server-sent events.
    Events,
    /// `GET /health`.
    Health,
}

impl Route {
    /// Every route, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Home,
        Self::Products,
        Self::Product,
        Self::AddToCart,
        Self::Cart,
        Self::Checkout,
        Self::Events,
        Self::Health,
    ];

    /// The route's index in [`Route::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The HTTP method.
    #[must_use]
    pub fn method(self) -> Method {
        match self {
            Self::AddToCart | Self::Checkout => Method::POST,
            _ => Method::GET,
        }
    }

    /// The path, its variable part as `{id}`.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Self::Home => "/",
            Self::Products => "/api/products",
            Self::Product => "/api/products/{id}",
            Self::AddToCart => "/api/cart",
            Self::Cart => "/api/cart/{id}",
            Self::Checkout => "/api/checkout",
            Self::Events => EVENTS_PATH,
            Self::Health => "/health",
        }
    }

    /// Median time to an answer, or to the first byte of a stream, while healthy, in milliseconds.
    pub(super) fn median_latency_ms(self) -> f64 {
        match self {
            Self::Home | Self::Cart | Self::Events => 3.0,
            Self::Product => 4.0,
            Self::Products => 5.0,
            Self::AddToCart => 6.0,
            Self::Checkout => 8.0,
            Self::Health => 0.0,
        }
    }

    /// Whether a request of this route names something that may be missing.
    pub(super) fn may_miss(self) -> bool {
        matches!(
            self,
            Self::Product | Self::AddToCart | Self::Cart | Self::Checkout
        )
    }

    /// The route of a request and the id in its path (empty where the route has none).
    pub(crate) fn of<'a>(method: &Method, path: &'a str) -> Option<(Self, &'a str)> {
        let route = match (method.as_str(), path) {
            ("GET", "/") => Self::Home,
            ("GET", "/api/products") => Self::Products,
            ("POST", "/api/cart") => Self::AddToCart,
            ("POST", "/api/checkout") => Self::Checkout,
            ("GET", EVENTS_PATH) => Self::Events,
            ("GET", "/health") => Self::Health,
            ("GET", path) => {
                return [
                    (Self::Product, "/api/products/"),
                    (Self::Cart, "/api/cart/"),
                ]
                .into_iter()
                .find_map(|(route, prefix)| Some((route, path.strip_prefix(prefix)?)));
            }
            _ => return None,
        };
        Some((route, ""))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.template())
    }
}
