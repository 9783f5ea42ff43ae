//! Which resources there are: what a cluster's CRDs and its own API would say.

/// One kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// API group; empty for the core.
    pub(super) group: &'static str,
    /// Plural name, as it stands in paths.
    pub(super) plural: &'static str,
    /// Kind, as it stands in manifests.
    pub(super) kind: &'static str,
    /// Whether a cluster has it only with its CRD installed.
    pub(super) custom: bool,
}

const fn custom(group: &'static str, plural: &'static str, kind: &'static str) -> Kind {
    Kind {
        group,
        plural,
        kind,
        custom: true,
    }
}

const fn own(group: &'static str, plural: &'static str, kind: &'static str) -> Kind {
    Kind {
        group,
        plural,
        kind,
        custom: false,
    }
}

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const EXTENSIONS: &str = "extensions.istio.io";

/// What istiod is given or asks for. A kind that is not here is answered with 404.
const KINDS: [Kind; 31] = [
    custom(EXTENSIONS, "wasmplugins", "WasmPlugin"),
    custom(EXTENSIONS, "trafficextensions", "TrafficExtension"),
    custom(NETWORKING, "destinationrules", "DestinationRule"),
    custom(NETWORKING, "envoyfilters", "EnvoyFilter"),
    custom(NETWORKING, "gateways", "Gateway"),
    custom(NETWORKING, "proxyconfigs", "ProxyConfig"),
    custom(NETWORKING, "serviceentries", "ServiceEntry"),
    custom(NETWORKING, "sidecars", "Sidecar"),
    custom(NETWORKING, "virtualservices", "VirtualService"),
    custom(NETWORKING, "workloadentries", "WorkloadEntry"),
    custom(NETWORKING, "workloadgroups", "WorkloadGroup"),
    custom(SECURITY, "authorizationpolicies", "AuthorizationPolicy"),
    custom(SECURITY, "peerauthentications", "PeerAuthentication"),
    custom(SECURITY, "requestauthentications", "RequestAuthentication"),
    custom("telemetry.istio.io", "telemetries", "Telemetry"),
    own("", "configmaps", "ConfigMap"),
    own("", "endpoints", "Endpoints"),
    own("", "namespaces", "Namespace"),
    own("", "nodes", "Node"),
    own("", "pods", "Pod"),
    own("", "secrets", "Secret"),
    own("", "serviceaccounts", "ServiceAccount"),
    own("", "services", "Service"),
    own("apps", "deployments", "Deployment"),
    own("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    own("networking.k8s.io", "ingresses", "Ingress"),
    own("networking.k8s.io", "ingressclasses", "IngressClass"),
    own("coordination.k8s.io", "leases", "Lease"),
    own(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
    ),
    own(
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
    ),
    own(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
    ),
];

impl Kind {
    /// The kind that a path names.
    pub(super) fn of_path(group: &str, plural: &str) -> Option<Self> {
        KINDS
            .into_iter()
            .find(|kind| kind.group == group && kind.plural == plural)
    }

    /// The kind of a manifest, by its `apiVersion` and `kind`.
    pub(super) fn of_manifest(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        KINDS
            .into_iter()
            .find(|known| known.group == group && known.kind == kind)
    }

    /// The names of the CRDs that are installed.
    pub(super) fn crds() -> impl Iterator<Item = String> {
        KINDS
            .into_iter()
            .filter(|kind| kind.custom)
            .map(|kind| format!("{}.{}", kind.plural, kind.group))
    }
}
