//! What stable does, for a guard: from a gateway's recording and by the command's own code.

use anyhow::Result;
use scorer_sdk::Plan;
use scorer_sdk::wire::recording::Record;
use serde_json::Value;
use serin_cli::snapshot::Snapshot;
use serin_integration::wait_until;
use std::path::Path;
use std::sync::Arc;

/// The reference from what a proxy has recorded in its folder, once that are so many exchanges.
pub(crate) async fn snapshot(folder: &Path, exchanges: u64, settings: &Value) -> Result<Value> {
    let path = folder.join("exchanges.jsonl");
    let mut records = Vec::new();
    // Envoy writes its log once a second.
    wait_until("the recording", async || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().filter(|line| line.ends_with('}'));
        let read: Result<Vec<_>, _> = lines.map(Record::parse).collect();
        records = read.map_err(anyhow::Error::msg)?;
        Ok(records.len() as u64 >= exchanges)
    })
    .await?;
    let plan = Arc::new(Plan::from_json(&settings.to_string())?);
    let mut snapshot = Snapshot::new(plan, None, None);
    for record in records {
        snapshot.push(record)?;
    }
    Ok(serde_json::to_value(snapshot.finish()?)?)
}
