//! Where the routes of a tick's counts stand in the table, so that a tick does not compare each key
//! with all others.

use super::route::Route;
use crate::count::delta::RouteDelta;

/// The numbers of the routes' keys with the routes' indices, sorted. What has become of a route since is
/// not in it: each index that it finds is checked.
pub(super) struct Index(Vec<(u64, usize)>);

impl Index {
    pub(super) fn of(routes: &[Route]) -> Self {
        let mut known: Vec<(u64, usize)> = routes
            .iter()
            .enumerate()
            .map(|(index, route)| (route.key.number(), index))
            .collect();
        crate::order::sort(&mut known);
        Self(known)
    }

    /// The index of the route of these counts; none for a new one. Clients choose paths, and so keys with
    /// the same number: the first of these whose key is the same is the one.
    pub(super) fn find(&self, routes: &[Route], delta: &RouteDelta) -> Option<usize> {
        let number = delta.key.number();
        let first = self.first(number);
        self.0
            .iter()
            .skip(first)
            .take_while(|place| place.0 == number)
            .map(|place| place.1)
            .find(|index| is_at(routes, *index, delta))
    }

    /// Adds the route of these counts, which is new at `index`.
    pub(super) fn add(&mut self, delta: &RouteDelta, index: usize) {
        let number = delta.key.number();
        self.0.insert(self.first(number), (number, index));
    }

    fn first(&self, number: u64) -> usize {
        self.0.partition_point(|place| place.0 < number)
    }
}

/// For each item of an inbox, the index of its route among those that are known; none for a new one.
/// `inbox` is what the workers counted.
pub(super) fn of(inbox: &[&RouteDelta], routes: &[Route]) -> Vec<Option<usize>> {
    let known = Index::of(routes);
    inbox
        .iter()
        .map(|delta| known.find(routes, delta))
        .collect()
}

/// Whether the route of these counts stands at this index.
pub(super) fn is_at(routes: &[Route], index: usize, delta: &RouteDelta) -> bool {
    routes
        .get(index)
        .is_some_and(|route| route.key == delta.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Plan;
    use crate::route::RouteKey;

    fn key(number: usize) -> RouteKey {
        RouteKey {
            destination: "shop".to_owned(),
            path: format!("/{number}"),
            ..RouteKey::default()
        }
    }

    #[test]
    fn each_route_is_found_where_it_stands_and_a_new_one_nowhere() {
        let plan = Plan::from_json("{}").unwrap();
        let routes: Vec<Route> = (0..100)
            .rev()
            .map(|number| Route::new(&plan, key(number), 0.0))
            .collect();
        let counted: Vec<RouteDelta> = [7, 100, 99, 0, 7]
            .map(|number| RouteDelta {
                key: key(number),
                ..RouteDelta::default()
            })
            .into();
        let inbox: Vec<&RouteDelta> = counted.iter().collect();
        assert_eq!(
            of(&inbox, &routes),
            [Some(92), None, Some(0), Some(99), Some(92)]
        );
        assert_eq!(of(&inbox, &[]), [None; 5]);
    }
}
