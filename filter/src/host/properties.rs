//! Paths of the proxy's properties that Serin reads or writes.

/// Direction of the current stream's listener, a number.
pub const LISTENER_DIRECTION: &[&str] = &["xds", "listener_direction"];
/// The value of [`LISTENER_DIRECTION`] for an inbound listener.
pub const INBOUND: [u8; 8] = 1u64.to_le_bytes();
/// Name of the plugin, as the proxy's config gives it.
pub const PLUGIN_NAME: &[&str] = &["plugin_name"];
/// Name of the upstream cluster: of the route before the request is sent, of the cluster that
/// answered afterwards.
pub const CLUSTER_NAME: &[&str] = &["xds", "cluster_name"];
/// Name of the route.
pub const ROUTE_NAME: &[&str] = &["xds", "route_name"];
/// Istio's metadata of the upstream host: `workload;namespace;name;revision;cluster`.
pub const UPSTREAM_WORKLOAD: &[&str] = &[
    "xds",
    "upstream_host_metadata",
    "filter_metadata",
    "istio",
    "workload",
];
/// Address of the upstream host.
pub const UPSTREAM_ADDRESS: &[&str] = &["upstream", "address"];
/// How many attempts the proxy made for the request.
pub const ATTEMPT_COUNT: &[&str] = &["upstream", "request_attempt_count"];
/// Number of the downstream connection.
pub const CONNECTION_ID: &[&str] = &["connection", "id"];
/// Address of the client.
pub const SOURCE_ADDRESS: &[&str] = &["source", "address"];
/// Envoy's response flags, a bit set.
pub const RESPONSE_FLAGS: &[&str] = &["response", "flags"];
/// What Envoy says of where the response came from.
pub const CODE_DETAILS: &[&str] = &["response", "code_details"];
/// The gRPC status from the trailers.
pub const GRPC_STATUS: &[&str] = &["response", "grpc_status"];

/// Where the access log finds how strange an exchange is: `%FILTER_STATE(wasm.serin.surprise:PLAIN)%`.
pub const SURPRISE: &[&str] = &["serin.surprise"];
/// Where the access log finds a recorded exchange: `%FILTER_STATE(wasm.serin.exchange:PLAIN)%`.
pub const EXCHANGE: &[&str] = &["serin.exchange"];
