//! The requests to a service, and how a healthy version answers them.

/// A service with its routes.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name as a destination.
    pub name: String,
    /// Its routes; one without any gets no traffic.
    pub routes: Vec<Route>,
}

impl Service {
    /// `routes` equally busy routes, all as [`Route::default`] but for their paths.
    #[must_use]
    pub fn with_routes(routes: usize) -> Self {
        let names = ["products", "search", "cart", "account", "orders", "offers"];
        let routes = (0..routes)
            .map(|index| Route {
                method: if index % 3 == 2 { "POST" } else { "GET" }.to_owned(),
                path: match names.get(index) {
                    Some(name) => format!("/api/{name}"),
                    None => format!("/api/area{}/items", index - names.len()),
                },
                ..Route::default()
            })
            .collect();
        Self {
            name: "shop".to_owned(),
            routes,
        }
    }
}

impl Default for Service {
    /// A shop with six routes.
    fn default() -> Self {
        Self::with_routes(6)
    }
}

/// One route: how often it is asked for, and what a healthy answer looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Request method.
    pub method: String,
    /// Request path.
    pub path: String,
    /// Share of the traffic, in proportion to the other routes'.
    pub traffic: f64,
    /// Chance of a status 500, from 0 to 1.
    pub error_rate: f64,
    /// Chance of a status 404 where there is no error.
    pub refused_rate: f64,
    /// How long an answer takes.
    pub latency: Latency,
    /// Answers that take longer for their kind.
    pub lasting: Option<Lasting>,
    /// A cache in front of what takes long.
    pub cache: Option<Cache>,
    /// Median length of the answer in bytes.
    pub response_bytes: f64,
    /// Spread of that length: standard deviation of its natural log.
    pub size_spread: f64,
    /// Median length of the request in bytes; it has the answer's spread.
    pub request_bytes: f64,
    /// Content type of the answer.
    pub content_type: String,
    /// Another content type, and how often it comes, from 0 to 1.
    pub other_content_type: Option<(String, f64)>,
    /// Response headers.
    pub headers: Vec<Header>,
}

impl Default for Route {
    /// One request in a hundred fails, two are refused; 20 ms in the median; 1,000 bytes of JSON;
    /// four headers, one of them in nine answers of ten.
    fn default() -> Self {
        let header = |name: &str, presence| Header {
            name: name.to_owned(),
            presence,
        };
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            traffic: 1.0,
            error_rate: 0.01,
            refused_rate: 0.02,
            latency: Latency::default(),
            lasting: None,
            cache: None,
            response_bytes: 1_000.0,
            size_spread: 0.3,
            request_bytes: 200.0,
            content_type: "application/json".to_owned(),
            other_content_type: Some(("text/html".to_owned(), 0.01)),
            headers: vec![
                header("content-type", 1.0),
                header("cache-control", 1.0),
                header("etag", 0.9),
                header("vary", 1.0),
            ],
        }
    }
}

/// Log-normal latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Median in microseconds.
    pub median_us: f64,
    /// Standard deviation of the natural log; 0.5 puts the 95th percentile at 2.3 times the median.
    pub sigma: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            median_us: 20_000.0,
            sigma: 0.5,
        }
    }
}

/// Answers that take a time of their own, as streams and exports do. One that fails takes the usual
/// time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lasting {
    /// Share of the answers, from 0 to 1.
    pub share: f64,
    /// Median of the whole time in seconds.
    pub seconds: f64,
    /// Standard deviation of its natural log.
    pub sigma: f64,
    /// Whether it is a stream: the first byte comes after the usual time, and that is the version's
    /// time. Else all of it is.
    pub is_stream: bool,
}

/// A cache: what it does not hold takes longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cache {
    /// Share of the requests that miss a cache that is full, from 0 to 1.
    pub misses: f64,
    /// Durations of those, in multiples of a hit's.
    pub slower: f64,
}

/// A response header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Name, in lower case.
    pub name: String,
    /// Share of the answers that carry it, from 0 to 1.
    pub presence: f64,
}
