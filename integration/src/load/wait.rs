//! Waiting by the load's own clock: its answers. Where the machine is slow they come later.

use anyhow::{Context as _, Result};

use super::Load;
use crate::shop::Shop;
use crate::wait::wait_until;

/// Answers to all after which a version that gets its share would have got dozens.
const ANSWERS: u64 = 200;

impl Load {
    /// Waits until `more` requests more have their answers.
    ///
    /// # Errors
    /// When they do not come: with the counts.
    pub async fn wait_for_answers(&self, more: u64) -> Result<()> {
        let enough = self.snapshot().answered.saturating_add(more);
        wait_until("answers", async || Ok(self.snapshot().answered >= enough))
            .await
            .with_context(|| format!("{:?}", self.snapshot()))
    }

    /// Waits until an instance gets nothing any more, while 200 requests are answered. It may take a
    /// moment: every worker learns at its next tick whom to leave alone.
    ///
    /// # Errors
    /// When the instance goes on getting requests.
    pub async fn wait_until_left_alone(&self, shop: &Shop) -> Result<()> {
        wait_until("version that is left alone", async || {
            let before = shop.received();
            self.wait_for_answers(ANSWERS).await?;
            Ok(shop.received() == before)
        })
        .await
    }
}
