//! What the unit tests share.

use crate::exchange::{Ending, Exchange};

/// A plain, healthy exchange.
pub(crate) fn exchange() -> Exchange<'static> {
    Exchange {
        destination: "shop",
        route_name: "",
        method: "GET",
        path: "/api/products/7?color=red",
        version: "v1",
        status: Some(200),
        grpc_status: None,
        ending: Ending::Complete,
        duration_us: Some(5_000),
        response_bytes: Some(1_000),
        content_type: "application/json",
        header_names: None,
        ..Exchange::default()
    }
}
