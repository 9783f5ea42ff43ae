//! Headers and bodies of the answers.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::http::response::Builder;
use hyper::{Response, StatusCode};
use scorer_sdk::telemetry;
use serde_json::{Value, json};

use super::behaviour::{Ending, Plan};
use super::catalogue::{Catalogue, hash};
use super::{Regression, Route};

/// Response header that names the version which answered.
pub const VERSION_HEADER: &str = "x-shop-version";

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
const HTML: &str = "text/html; charset=utf-8";
const CACHED: &str = "public, max-age=60";
const PRIVATE: &str = "private, no-store";

/// The answer to a request of a known route.
pub(super) fn respond(
    version: &str,
    catalogue: &Catalogue,
    route: Route,
    id: &str,
    body: &Bytes,
    plan: &Plan,
) -> Result<Response<Full<Bytes>>> {
    match plan.ending {
        Ending::Refused => {
            let refusal = start(version, 503).header(telemetry::REJECT_HEADER.name, "shop");
            return finish(refusal, Bytes::new());
        }
        Ending::Error => return problem(version, 500, "internal error"),
        Ending::NotFound => return problem(version, 404, "not found"),
        Ending::Status(status) => {
            let title = status.canonical_reason().unwrap_or("error");
            return problem(version, status.as_u16(), title);
        }
        Ending::Good => {}
    }
    let is = |regression| plan.regressions.has(regression);
    match route {
        Route::Home => {
            let home = if is(Regression::RedirectLoop) {
                &catalogue.home_without_way_on
            } else {
                &catalogue.home
            };
            page(version, HTML, home.clone(), true)
        }
        Route::Products => {
            let list = if is(Regression::Size) {
                &catalogue.long_list
            } else if is(Regression::LostField) {
                &catalogue.list_with_another_name
            } else if is(Regression::TypeChange) {
                &catalogue.list_with_text
            } else {
                &catalogue.list
            };
            let content_type = if is(Regression::ContentType) {
                "text/html"
            } else {
                JSON
            };
            page(version, content_type, list.clone(), true)
        }
        Route::Product => match catalogue.product(id) {
            Some(product) => page(version, JSON, product, !is(Regression::Headers)),
            None => problem(version, 404, "no such product"),
        },
        Route::Cart => {
            let cart = Catalogue::cart(id);
            let response = start(version, 200)
                .header("content-type", JSON)
                .header("cache-control", PRIVATE)
                .header("vary", "cookie")
                .header("x-request-cost", cart.len() / 64);
            finish(response, cart)
        }
        Route::AddToCart | Route::Checkout => accept(version, route, body),
        // The body follows: see `events`.
        Route::Events => finish(
            start(version, 200)
                .header("content-type", EVENT_STREAM)
                .header("cache-control", PRIVATE),
            Bytes::new(),
        ),
        Route::Health => finish(
            start(version, 200).header("content-type", "text/plain"),
            Bytes::from("ok\n"),
        ),
    }
}

/// 404 for a path that is no route.
pub(super) fn no_such_route(version: &str) -> Result<Response<Full<Bytes>>> {
    problem(version, 404, "no such page")
}

/// 502 where a call that the answer needs did not come back.
pub(super) fn no_dependency(version: &str) -> Result<Response<Full<Bytes>>> {
    problem(version, 502, "a service did not answer")
}

/// 413 for a request body beyond the bound, or one that broke off.
pub(super) fn too_large(version: &str) -> Result<Response<Full<Bytes>>> {
    problem(version, 413, "body too large or incomplete")
}

/// A page that all users share.
fn page(
    version: &str,
    content_type: &str,
    body: Bytes,
    cacheable: bool,
) -> Result<Response<Full<Bytes>>> {
    let mut response = start(version, 200)
        .header("content-type", content_type)
        .header("vary", "accept-encoding")
        .header("x-content-type-options", "nosniff")
        .header("x-request-cost", body.len() / 256);
    if cacheable {
        response = response
            .header("cache-control", CACHED)
            .header("etag", format!("\"{:x}\"", hash(&body)));
    }
    finish(response, body)
}

/// The answers to the two POST routes.
fn accept(version: &str, route: Route, body: &Bytes) -> Result<Response<Full<Bytes>>> {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return problem(version, 400, "the body is not JSON");
    };
    let (status, answer) = if route == Route::AddToCart {
        let cart = request.get("cart").cloned().unwrap_or_default();
        let note = "Your item waits in the cart for thirty days. Prices and stock may change until \
                    the order is placed; we tell you before you pay.";
        (
            201,
            json!({"cart": cart, "added": request, "currency": "EUR", "note": note}),
        )
    } else {
        let order = format!("{:016x}", hash(body));
        let note = "Thank you for the order. A confirmation is on its way to your mail address; \
                    parcels leave the store on working days before noon.";
        (
            200,
            json!({"order": order, "state": "paid", "request": request, "note": note}),
        )
    };
    let answer = answer.to_string();
    let mut response = start(version, status)
        .header("content-type", JSON)
        .header("cache-control", PRIVATE)
        .header("vary", "cookie")
        .header("x-request-cost", answer.len() / 32);
    if let (201, Some(cart)) = (status, request.get("cart").and_then(Value::as_str)) {
        response = response.header("location", format!("/api/cart/{cart}"));
    }
    finish(response, answer.into())
}

fn problem(version: &str, status: u16, title: &str) -> Result<Response<Full<Bytes>>> {
    let response = start(version, status)
        .header("content-type", "application/problem+json")
        .header("cache-control", "no-store")
        .header("x-request-cost", 1);
    finish(
        response,
        json!({"status": status, "title": title}).to_string().into(),
    )
}

/// What every answer carries; hyper adds `date` and `content-length`.
fn start(version: &str, status: u16) -> Builder {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or_default())
        .header(VERSION_HEADER, version)
}

fn finish(builder: Builder, body: Bytes) -> Result<Response<Full<Bytes>>> {
    builder.body(Full::new(body)).context("build the answer")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::super::Encoding;
    use super::super::regression::Regressions;
    use super::*;

    fn answer(route: Route, id: &str, regression: Regression) -> Response<Full<Bytes>> {
        let plan = Plan {
            delay: Duration::ZERO,
            lasts: Duration::ZERO,
            ending: Ending::Good,
            regressions: Regressions::of(&[regression]),
            calls: &[],
            encoding: Encoding::Plain,
        };
        let body = Bytes::from(r#"{"cart":"c1","product":3}"#);
        respond("v1", &Catalogue::new(), route, id, &body, &plan).unwrap()
    }

    async fn size(response: Response<Full<Bytes>>) -> usize {
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len()
    }

    #[tokio::test]
    async fn sizes_stay_between_300_bytes_and_8_kilobytes() {
        for id in 1..=super::super::catalogue::PRODUCTS {
            let size = size(answer(Route::Product, &id.to_string(), Regression::None)).await;
            assert!((300..8_192).contains(&size), "product {id}: {size}");
        }
        for route in [
            Route::Home,
            Route::Products,
            Route::AddToCart,
            Route::Checkout,
        ] {
            let size = size(answer(route, "", Regression::None)).await;
            assert!((200..8_192).contains(&size), "{route}: {size}");
        }
    }

    #[tokio::test]
    async fn size_regression_makes_the_list_three_times_as_large() {
        let normal = size(answer(Route::Products, "", Regression::None)).await as f64;
        let large = size(answer(Route::Products, "", Regression::Size)).await as f64;
        assert!(
            (2.8..3.2).contains(&(large / normal)),
            "{large} of {normal}"
        );
    }

    #[tokio::test]
    async fn a_page_that_leads_back_to_itself_has_the_same_status_and_size() {
        let normal = answer(Route::Home, "", Regression::None);
        let bad = answer(Route::Home, "", Regression::RedirectLoop);
        assert_eq!(normal.status(), bad.status());
        assert_eq!(size(normal).await, size(bad).await);
    }

    #[tokio::test]
    async fn a_lost_field_changes_neither_size_nor_status() {
        let normal = answer(Route::Products, "", Regression::None);
        let bad = answer(Route::Products, "", Regression::LostField);
        assert_eq!(normal.status(), bad.status());
        assert_eq!(size(normal).await, size(bad).await);
    }

    #[test]
    fn header_regressions_touch_their_own_route_only() {
        let bad = answer(Route::Product, "3", Regression::Headers);
        assert!(
            !bad.headers().contains_key("etag") && !bad.headers().contains_key("cache-control")
        );
        let good = answer(Route::Products, "", Regression::Headers);
        assert!(
            good.headers().contains_key("etag") && good.headers().contains_key("cache-control")
        );
        let html = answer(Route::Products, "", Regression::ContentType);
        assert_eq!(html.headers()["content-type"], "text/html");
        let json = answer(Route::Product, "3", Regression::ContentType);
        assert_eq!(json.headers()["content-type"], "application/json");
    }
}
