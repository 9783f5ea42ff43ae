//! Paths of the proxy's properties that Serin reads or writes.

/// Path of a property as a host call takes it: its parts with a zero byte between them.
pub type Path = &'static str;

/// Direction of the current stream's listener, a number.
pub const LISTENER_DIRECTION: Path = "xds\0listener_direction";
/// The value of [`LISTENER_DIRECTION`] for an inbound listener.
pub const INBOUND: [u8; 8] = 1u64.to_le_bytes();
/// Name of the plugin, as the proxy's config gives it.
pub const PLUGIN_NAME: Path = "plugin_name";
/// Name of the upstream cluster: of the route before the request is sent, of the cluster that
/// answered afterwards.
pub const CLUSTER_NAME: Path = "xds\0cluster_name";
/// Name of the route.
pub const ROUTE_NAME: Path = "xds\0route_name";
/// Istio's metadata of the upstream host: `workload;namespace;name;revision;cluster`.
pub const UPSTREAM_WORKLOAD: Path = "xds\0upstream_host_metadata\0filter_metadata\0istio\0workload";
/// Address of the upstream host.
pub const UPSTREAM_ADDRESS: Path = "upstream\0address";
/// How many attempts the proxy made for the request.
pub const ATTEMPT_COUNT: Path = "upstream\0request_attempt_count";
/// Number of the downstream connection. `connection.id` is the same and costs the proxy more.
pub const CONNECTION_ID: Path = "connection_id";
/// Address of the client.
pub const SOURCE_ADDRESS: Path = "source\0address";
/// How long the request took as a whole, in nanoseconds; only in the log phase.
pub const REQUEST_DURATION: Path = "request\0duration";
/// Envoy's response flags, a bit set.
pub const RESPONSE_FLAGS: Path = "response\0flags";
/// What Envoy says of where the response came from.
pub const CODE_DETAILS: Path = "response\0code_details";
/// The gRPC status from the trailers.
pub const GRPC_STATUS: Path = "response\0grpc_status";

/// Where a trace finds the version that answered: `%FILTER_STATE(wasm.serin.version:PLAIN)%`.
pub const VERSION: Path = "serin.version";
/// Where a trace finds the version that the verdict is about: `%FILTER_STATE(wasm.serin.candidate:PLAIN)%`.
pub const CANDIDATE: Path = "serin.candidate";
/// Where a trace finds the verdict: `%FILTER_STATE(wasm.serin.verdict:PLAIN)%`.
pub const VERDICT: Path = "serin.verdict";
/// Where a trace and the access log find how strange an exchange is:
/// `%FILTER_STATE(wasm.serin.surprise:PLAIN)%`.
pub const SURPRISE: Path = "serin.surprise";
/// Where the access log finds a recorded exchange: `%FILTER_STATE(wasm.serin.exchange:PLAIN)%`.
pub const EXCHANGE: Path = "serin.exchange";
