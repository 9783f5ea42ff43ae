//! Routes as their labels, for programs.

use crate::route::RouteKey;
use serde::Serializer;

pub(super) fn label<S: Serializer>(route: &RouteKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&route.label())
}

pub(super) fn labels<S: Serializer>(
    condemned: &[(RouteKey, &'static str)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        condemned
            .iter()
            .map(|(route, category)| (route.label(), category)),
    )
}
