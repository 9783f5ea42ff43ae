//! One exchange is the same whether the filter sees it pass or the command reads it in Envoy's log.

use crate::support::host::OneStream;
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::wire::recording::{Record, RecordEnding};
use serde_json::{Value, json};
use serin_cli::envoy::{self, Entry};
use serin_filter::stream::life::Stream;
use serin_filter::worker::Worker;
use std::sync::Arc;

const CONFIG: &str = r#"{"record": true, "baseline": "v1", "candidate": "v2",
    "versions": {"destinations": {"listed": {"v2": ["shop-v2"]}}}}"#;
const ISTIO: &str = "outbound|80|v2|shop.prod.svc.cluster.local";
const LASTED: Duration = Duration::from_millis(12);

/// One exchange as Envoy has it: what its properties and headers say, and what its log says.
#[derive(Clone)]
struct Passing {
    what: &'static str,
    cluster: &'static str,
    method: &'static str,
    upgrade: Option<&'static str>,
    status: Option<&'static str>,
    content_type: Option<&'static str>,
    /// What Envoy makes of the gRPC status, in headers or trailers.
    grpc_status: Option<i64>,
    flags: (u64, &'static str),
    details: &'static str,
    is_whole: bool,
}

/// What is judged of it: destination, status, gRPC status, how it ended.
type Judged = Option<(String, Option<u16>, Option<u16>, RecordEnding)>;

fn judged(record: Record) -> Judged {
    assert_eq!(record.version, "v2");
    assert_eq!(record.duration_ms, 12.0);
    assert_eq!(record.response_bytes.unwrap_or(0), 0);
    Some((
        record.destination,
        record.status,
        record.grpc_status,
        record.ending,
    ))
}

impl Passing {
    fn usual(what: &'static str) -> Self {
        Self {
            what,
            cluster: ISTIO,
            method: "POST",
            upgrade: None,
            status: Some("200"),
            content_type: Some("application/json"),
            grpc_status: None,
            flags: (0, "-"),
            details: "via_upstream",
            is_whole: true,
        }
    }

    fn seen_live(&self, plan: &Arc<Plan>) -> Judged {
        let host = OneStream::default();
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        {
            let mut stream = host.0.borrow_mut();
            stream.now = Duration::from_secs(1_770_000_000);
            stream.request = vec![
                owned(":method", self.method),
                owned(":path", "/shop.Cart/Add"),
            ];
            stream
                .request
                .extend(self.upgrade.map(|value| owned("upgrade", value)));
            let status = self.status.map(|status| owned(":status", status));
            stream.response = status.into_iter().collect();
            let kind = self.content_type.map(|kind| owned("content-type", kind));
            stream.response.extend(kind);
            for (name, value) in [
                ("xds.cluster_name", self.cluster.as_bytes().to_vec()),
                ("response.flags", self.flags.0.to_le_bytes().to_vec()),
                ("response.code_details", self.details.as_bytes().to_vec()),
            ] {
                stream.properties.insert(name.to_owned(), value);
            }
            // Envoy makes one up for what is not gRPC.
            let grpc_status = self.grpc_status.unwrap_or(2).to_le_bytes().to_vec();
            let name = "response.grpc_status".to_owned();
            stream.properties.insert(name, grpc_status);
        }
        let mut worker = Worker::new(
            host.clone(),
            Arc::clone(plan),
            "test",
            1,
            Default::default(),
        );
        let mut stream = Stream::new(2);
        assert!(worker.on_request(&mut stream, true));
        host.0.borrow_mut().now += LASTED;
        if self.status.is_some() {
            stream.passed(0, self.is_whole);
            assert!(worker.on_response(&mut stream));
        }
        worker.on_log(&mut stream);
        let line = host.0.borrow_mut().properties.remove("serin.exchange")?;
        judged(Record::parse(core::str::from_utf8(&line).unwrap()).unwrap())
    }

    /// As a log has it; `cluster` is the cluster's name in it.
    fn replayed(&self, plan: &Plan, cluster: &str) -> Judged {
        let line = json!({
            "start_time": "2026-02-02T02:40:00Z",
            "method": self.method,
            "path": "/shop.Cart/Add",
            "upgrade": self.upgrade,
            "response_code": self.status.map_or(Value::from(0), Value::from),
            "response_flags": self.flags.1,
            "response_code_details": self.details,
            "grpc_status": self.grpc_status,
            "duration": LASTED.as_millis() as u64,
            "bytes_sent": 0,
            "upstream_cluster": cluster,
            "content_type": self.content_type,
        });
        match envoy::parse(&line.to_string(), plan).unwrap() {
            Entry::Exchange(record) => judged(*record),
            Entry::Unattributed(_) => None,
        }
    }
}

fn cases() -> Vec<(Passing, Judged)> {
    use RecordEnding::{ClientGone, Complete, Reset};
    let usual = Passing::usual;
    let of = |destination: &str, status: Option<u16>, grpc: Option<u16>, ending| {
        Some((destination.to_owned(), status, grpc, ending))
    };
    let shop = |status, grpc, ending| of("shop.prod.svc.cluster.local:80", status, grpc, ending);
    let grpc = |what, grpc_status| Passing {
        content_type: Some("application/grpc+proto"),
        grpc_status: Some(grpc_status),
        ..usual(what)
    };
    let flagged = |what, bits, names, status, details| Passing {
        flags: (bits, names),
        status,
        details,
        is_whole: false,
        ..usual(what)
    };
    vec![
        (usual("an answer"), shop(Some(200), None, Complete)),
        (
            Passing {
                cluster: "shop-v2",
                ..usual("a listed cluster")
            },
            of("listed", Some(200), None, Complete),
        ),
        (
            Passing {
                cluster: "outbound|80||shop.prod.svc",
                ..usual("a cluster without version")
            },
            None,
        ),
        (
            Passing {
                cluster: "PassthroughCluster",
                ..usual("no destination")
            },
            None,
        ),
        (
            Passing {
                status: Some("999"),
                ..usual("999")
            },
            shop(Some(999), None, Complete),
        ),
        (
            Passing {
                status: Some("600"),
                ..usual("600")
            },
            shop(Some(600), None, Complete),
        ),
        (
            Passing {
                status: Some("101"),
                ..usual("101 nobody asked for")
            },
            None,
        ),
        (
            Passing {
                status: Some("101"),
                upgrade: Some("websocket"),
                ..usual("an upgrade")
            },
            None,
        ),
        (
            Passing {
                status: Some("403"),
                upgrade: Some("websocket"),
                ..usual("no upgrade")
            },
            None,
        ),
        (
            Passing {
                method: "CONNECT",
                ..usual("a tunnel")
            },
            None,
        ),
        (grpc("gRPC, OK", 0), shop(Some(200), Some(0), Complete)),
        (
            grpc("gRPC, UNAVAILABLE", 14),
            shop(Some(200), Some(14), Complete),
        ),
        (
            grpc("gRPC, not readable", -1),
            shop(Some(200), Some(2), Complete),
        ),
        (
            Passing {
                content_type: Some("application/grpc-web+proto"),
                ..grpc("gRPC-Web", 14)
            },
            shop(Some(200), None, Complete),
        ),
        (
            Passing {
                content_type: Some("text/html"),
                status: Some("503"),
                ..grpc("gRPC that somebody else answers", 14)
            },
            shop(Some(503), None, Complete),
        ),
        (
            flagged("cut off", 0x40, "UC", Some("200"), "via_upstream"),
            shop(Some(200), None, Reset),
        ),
        (
            Passing {
                content_type: Some("application/grpc"),
                grpc_status: Some(2),
                ..flagged("gRPC, cut off", 0x40, "UC", Some("200"), "via_upstream")
            },
            shop(Some(200), None, Reset),
        ),
        (
            flagged(
                "not reached",
                0x8020,
                "UF,URX",
                Some("503"),
                "upstream_reset_before_response_started{connection_failure}",
            ),
            shop(Some(503), None, Complete),
        ),
        (
            flagged("no answer", 0x20, "UF", None, ""),
            shop(None, None, Complete),
        ),
        (
            flagged("reset without an answer", 0x10, "UR", None, ""),
            shop(None, None, Reset),
        ),
        (
            flagged(
                "the client went away",
                0x4000,
                "DC",
                None,
                "downstream_remote_disconnect",
            ),
            shop(None, None, ClientGone),
        ),
        (
            flagged("too late", 0x4, "UT", Some("504"), "response_timeout"),
            shop(Some(504), None, Complete),
        ),
        (
            flagged(
                "rate limited",
                0x800,
                "RL",
                Some("429"),
                "local_rate_limited",
            ),
            None,
        ),
        (
            flagged("a fault", 0x600, "DI,FI", Some("503"), "fault_filter_abort"),
            None,
        ),
        (
            flagged(
                "not allowed",
                0,
                "-",
                Some("403"),
                "rbac_access_denied_matched_policy[none]",
            ),
            None,
        ),
        (
            Passing {
                content_type: None,
                ..usual("no content type")
            },
            shop(Some(200), None, Complete),
        ),
    ]
}

#[test]
fn an_exchange_is_the_same_live_and_in_a_log() {
    let plan = Arc::new(Plan::from_json(CONFIG).unwrap());
    for (passing, expected) in cases() {
        let what = passing.what;
        assert_eq!(passing.seen_live(&plan), expected, "live: {what}");
        // Istio's name for statistics ends with a semicolon.
        for cluster in [passing.cluster.to_owned(), format!("{};", passing.cluster)] {
            let replayed = passing.replayed(&plan, &cluster);
            assert_eq!(replayed, expected, "in a log, {cluster}: {what}");
        }
    }
}
