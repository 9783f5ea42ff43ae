//! Users who follow the links of the pages that they got: what they ask for next depends on who
//! served them last.
//!
//! A user comes to the home page, follows one of its links to a product, and leaves or puts it into
//! the cart, looks at the cart and pays. Who meets an error or a page without a link leaves, and
//! another user comes.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::session::{Session, Visit};
use crate::shop::Route;

/// Users on the site at one time.
const USERS: usize = 200;
/// Share of the users who put a product that they see into the cart.
const BUYERS: f64 = 0.7;

/// What of an answer says where its reader may go.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

#[derive(Debug)]
struct User {
    session: Session,
    /// What the user asks for next; `None` while an answer is awaited.
    next: Option<(Route, String)>,
}

/// All users, each on some page of the site.
#[derive(Debug)]
pub(super) struct Journeys {
    users: Vec<User>,
    rng: SmallRng,
}

impl User {
    fn new(rng: &mut SmallRng) -> Self {
        Self {
            session: Session::new(rng.random()),
            next: Some((Route::Home, Route::Home.template().to_owned())),
        }
    }
}

impl Journeys {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        Self {
            users: (0..USERS).map(|_| User::new(&mut rng)).collect(),
            rng,
        }
    }

    /// What one of the users asks for next, drawn among those who do not wait for an answer; `None`
    /// when all wait.
    pub(super) fn next(&mut self) -> Option<Visit> {
        let start = self.rng.random_range(0..self.users.len());
        let (before, from) = self.users.split_at_mut(start);
        let (index, user) = (start..)
            .zip(from)
            .chain((0..).zip(before))
            .find(|(_, user)| user.next.is_some())?;
        let (route, path) = user.next.take()?;
        let product = self.rng.random_range(1..=30);
        let body = user.session.body(route, product, 1);
        Some(user.session.visit(route, path, body).of_user(index))
    }

    /// Takes the answer to a user's last request; `None` when there was none.
    pub(super) fn answered(&mut self, user: usize, route: Route, page: Option<&Page>) {
        let next = page.and_then(|page| self.way_on(route, page));
        if let Some(user) = self.users.get_mut(user) {
            match next {
                Some(next) => user.next = Some(next),
                None => *user = User::new(&mut self.rng),
            }
        }
    }

    fn way_on(&mut self, route: Route, page: &Page) -> Option<(Route, String)> {
        if !page.status.is_success() {
            return None;
        }
        let step = |route: Route| Some((route, route.template().to_owned()));
        match route {
            Route::Home => {
                let links = links(&page.body);
                let link = links.get(self.rng.random_range(0..links.len().max(1)))?;
                let path = link.split('?').next()?;
                let (route, _) = Route::of(&Method::GET, path)?;
                Some((route, (*link).to_owned()))
            }
            Route::Product if self.rng.random::<f64>() < BUYERS => step(Route::AddToCart),
            Route::AddToCart => Some((Route::Cart, page.location.clone()?)),
            Route::Cart => step(Route::Checkout),
            _ => None,
        }
    }
}

/// Targets of the links of an HTML page.
fn links(body: &[u8]) -> Vec<&str> {
    let page = std::str::from_utf8(body).unwrap_or_default();
    let behind = page.split("href=\"").skip(1);
    behind.filter_map(|rest| rest.split('"').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &'static str) -> Page {
        Page {
            status: StatusCode::OK,
            location: Some("/api/cart/7".to_owned()),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn a_user_goes_where_the_page_leads() {
        let next = |body| {
            let mut journeys = Journeys::new(3);
            journeys.users.truncate(1);
            let first = journeys.next().unwrap();
            assert_eq!(first.route, Route::Home);
            assert!(journeys.next().is_none(), "the only user waits");
            journeys.answered(0, Route::Home, Some(&page(body)));
            journeys.next().unwrap()
        };
        let on = next("<a href=\"/api/products/7\">7</a>");
        assert_eq!(
            (on.route, on.path.as_str()),
            (Route::Product, "/api/products/7")
        );
        let back = next("<a href=\"/?the-product=7\">7</a>");
        assert_eq!(
            (back.route, back.path.as_str()),
            (Route::Home, "/?the-product=7")
        );
        assert_eq!(next("no link").route, Route::Home);
    }

    #[test]
    fn who_gets_no_answer_leaves_and_another_user_comes() {
        let mut journeys = Journeys::new(4);
        journeys.users.truncate(1);
        let first = journeys.next().unwrap();
        journeys.answered(0, Route::Home, None);
        let second = journeys.next().unwrap();
        assert_eq!(second.route, Route::Home);
        assert_ne!(first.cookie, second.cookie);
    }

    #[test]
    fn buyers_come_to_the_checkout_with_the_cart_that_they_were_given() {
        let mut journeys = Journeys::new(5);
        journeys.users.truncate(1);
        let cookie = journeys.next().unwrap().cookie;
        journeys.answered(0, Route::AddToCart, Some(&page("")));
        let cart = journeys.next().unwrap();
        assert_eq!(
            (cart.route, cart.path.as_str()),
            (Route::Cart, "/api/cart/7")
        );
        journeys.answered(0, Route::Cart, Some(&page("")));
        let checkout = journeys.next().unwrap();
        assert_eq!((checkout.route, checkout.cookie), (Route::Checkout, cookie));
        assert!(checkout.body.unwrap().contains("payment"));
    }
}
