//! Objects of the API server: read, listed, changed.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http;

/// The API over plain HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    address: SocketAddr,
}

impl Api {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// One object; `None` where there is none at this path.
    ///
    /// # Errors
    /// When the server does not answer, or with another failure.
    pub async fn get(&self, path: &str) -> Result<Option<Value>> {
        let answer = http::get(self.address, path).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(answer.body());
        ensure!(answer.status().is_success(), "{path}: {text}");
        serde_json::from_slice(answer.body())
            .map(Some)
            .context("an object")
    }

    /// The objects of a list, such as `/apis/apps/v1/deployments`.
    ///
    /// # Errors
    /// When the server does not answer, or not with a list.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let list = self.get(path).await?.with_context(|| path.to_owned())?;
        let items = list.get("items").and_then(Value::as_array);
        Ok(items.with_context(|| format!("{path}: no list"))?.clone())
    }

    /// Makes an object, or says something to one, as a binding does to a pod, and gives the answer.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value> {
        let headers = [("content-type", "application/json")];
        let body = object.to_string();
        let answer = http::request(self.address, Method::POST, path, &headers, body).await?;
        let text = String::from_utf8_lossy(answer.body());
        ensure!(answer.status().is_success(), "{path}: {text}");
        serde_json::from_slice(answer.body()).context("an object")
    }

    /// Removes an object at once; one that is not there is passed over.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn remove(&self, path: &str) -> Result<()> {
        let headers = [("content-type", "application/json")];
        let body = json!({"gracePeriodSeconds": 0}).to_string();
        let answer = http::request(self.address, Method::DELETE, path, &headers, body).await?;
        let text = String::from_utf8_lossy(answer.body());
        let gone = answer.status() == StatusCode::NOT_FOUND;
        ensure!(answer.status().is_success() || gone, "{path}: {text}");
        Ok(())
    }

    /// Changes fields of an object, as a JSON merge patch says.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn patch(&self, path: &str, change: &Value) -> Result<()> {
        let headers = [("content-type", "application/merge-patch+json")];
        let body = change.to_string();
        let answer = http::request(self.address, Method::PATCH, path, &headers, body).await?;
        let text = String::from_utf8_lossy(answer.body());
        ensure!(answer.status().is_success(), "{path}: {text}");
        Ok(())
    }
}
