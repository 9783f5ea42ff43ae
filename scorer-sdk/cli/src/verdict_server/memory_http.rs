//! `GET` and `PUT /v1/memory` on the wire.

use super::answer::Reply;
use super::crowd::Place;
use super::memory::{Memories, MemoryKey};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use scorer_sdk::memory::MAX_BYTES;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Memories that are read or written at a time; more wait.
const MAX_AT_WORK: usize = 4;
/// Longest wait for a memory's bytes, and for a turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept, and who is at it.
#[derive(Debug)]
pub struct Keeper {
    memories: Memories,
    turns: Semaphore,
}

impl Keeper {
    /// Keeps these.
    #[must_use]
    pub fn new(memories: Memories) -> Self {
        Self {
            memories,
            turns: Semaphore::new(MAX_AT_WORK),
        }
    }
}

/// Answers a request about a memory, from whoever may ask. Without a keeper there are none. Until its
/// body has come it is one of the crowd.
///
/// # Errors
/// The answer that says what is wrong.
pub async fn respond(
    request: Request<Incoming>,
    key: MemoryKey,
    is_put: bool,
    keeper: Option<Arc<Keeper>>,
    place: &Place,
) -> Result<Response<Full<Bytes>>, Reply> {
    let keeper = keeper.ok_or_else(|| {
        Reply::error(
            404,
            "no memories are kept: start serve-verdict with --memory",
        )
    })?;
    let late = || Reply::error(503, "too many ask at the same time");
    let turn = timeout(PATIENCE, keeper.turns.acquire()).await;
    let _turn = turn.map_err(|_| late())?.map_err(|_| late())?;
    let body = if is_put {
        body(request).await?
    } else {
        Vec::new()
    };
    place.leave();
    let within = Arc::clone(&keeper);
    let work = move || match is_put {
        true => within.memories.put(&key, body).map(|()| Vec::new()),
        false => within.memories.get(&key),
    };
    let bytes = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Reply::error(500, &error.to_string()))??;
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    if is_put {
        *response.status_mut() = StatusCode::NO_CONTENT;
    } else {
        let octets = HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(CONTENT_TYPE, octets);
    }
    Ok(response)
}

/// The bytes of a request, none of which are read where it says that there are too many.
async fn body(request: Request<Incoming>) -> Result<Vec<u8>, Reply> {
    let long = || Reply::error(413, "a memory has at most 1 MiB, or its bytes are cut off");
    let body = request.into_body();
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(long());
    }
    let body = Limited::new(body, MAX_BYTES).collect();
    match timeout(PATIENCE, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(_)) => Err(long()),
        Err(_) => Err(Reply::error(408, "the memory did not come within 10 s")),
    }
}
