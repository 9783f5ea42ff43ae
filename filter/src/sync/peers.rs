//! One worker among the workers of its proxy.

use super::inquiry::Reply;
use super::leader::Leader;
use super::mailbox::{Keys, Outbox};
use super::publication::Publication;
use super::templates::Templates;
use super::{secret, worker_id};
use crate::host::Host;
use crate::report::series;
use crate::report::troubles::Troubles;
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::telemetry::{COMPARER, GUARD};
use scorer_sdk::wire::codec::Damage;
use std::rc::Rc;
use std::sync::Arc;

/// What one worker shares with the others: it hands in what it counted, reads the verdict, and
/// stands for leader.
pub struct Peers {
    plan: Arc<Plan>,
    plugin: String,
    owner: u64,
    keys: Keys,
    outbox: Outbox,
    leader: Leader,
    templates: Templates,
    series: series::Shared,
    /// Number of the last publication that was read.
    publication: u64,
    /// What could not be read of publications and was not counted yet.
    damage: Damage,
}

/// The role's name in metrics and keys.
#[must_use]
pub fn role(guarding: bool) -> &'static str {
    if guarding { GUARD } else { COMPARER }
}

impl Peers {
    /// A worker with a new name. `plugin` names the plugin among those of the proxy; comparers and
    /// guards of one plugin do not mix.
    #[must_use]
    pub fn new(
        host: &impl Host,
        plan: &Arc<Plan>,
        plugin: &str,
        root_id: u32,
        guarding: bool,
        series: series::Shared,
    ) -> Self {
        let now = host.now();
        let owner = worker_id::of_worker(host, now, root_id);
        Self::with_owner(plan, plugin, owner, now, guarding, series)
    }

    fn with_owner(
        plan: &Arc<Plan>,
        plugin: &str,
        owner: u64,
        now: Duration,
        guarding: bool,
        series: series::Shared,
    ) -> Self {
        let role = role(guarding);
        let keys = Keys::new(&format!("{plugin}/{role}"));
        Self {
            outbox: Outbox::new(keys.clone(), owner),
            leader: Leader::new(
                Arc::clone(plan),
                (keys.clone(), plugin),
                owner,
                now,
                role,
                Rc::clone(&series),
            ),
            templates: Templates::default(),
            series,
            plan: Arc::clone(plan),
            plugin: plugin.to_owned(),
            owner,
            keys,
            publication: 0,
            damage: Damage::default(),
        }
    }

    /// Joins the guards instead, under the same name; nothing has been counted yet.
    pub fn become_guard(&mut self, now: Duration) {
        *self = Self {
            publication: self.publication,
            ..Self::with_owner(
                &self.plan,
                &self.plugin,
                self.owner,
                now,
                true,
                Rc::clone(&self.series),
            )
        };
    }

    /// This worker's name.
    #[must_use]
    pub fn owner(&self) -> u64 {
        self.owner
    }

    /// The number that all workers of this proxy know and its clients do not.
    pub fn secret(&self, host: &impl Host) -> u64 {
        secret::of_proxy(host, self.owner)
    }

    /// The verdict, if there is a new one. What cannot be read of it counts as no verdict.
    pub fn read(&mut self, host: &impl Host) -> Option<Publication> {
        let bytes = host.shared(&self.keys.verdict()).bytes;
        let number = Publication::peek_number(&bytes)?;
        if number == self.publication {
            return None;
        }
        let publication = Publication::salvage(&bytes, &mut self.damage);
        self.publication = number;
        self.outbox.acknowledge(&publication.acknowledged);
        Some(publication)
    }

    /// Whether another delta may be handed in now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Hands in what was counted.
    pub fn publish(&mut self, host: &impl Host, delta: Delta, now: Duration) {
        self.outbox.publish(host, delta, now);
    }

    /// Hands in everything at once, because no further tick will come.
    pub fn flush(&mut self, host: &impl Host, delta: Delta) {
        if !self.has_room() {
            // Nobody else reads what was merged of it any more.
            self.read(host);
        }
        self.outbox.flush(host, delta, host.now());
    }

    /// Names paths as the other workers do, where the config wants memories.
    pub fn share_templates(&mut self, host: &impl Host, tally: &mut Tally) {
        if self.plan.fleet.as_ref().is_some_and(|fleet| fleet.memory) {
            self.templates.tick(host, &self.keys.templates(), tally);
        }
    }

    /// What has not reached the judge, or the worker, since the last call.
    pub fn take_troubles(&mut self, now: Duration) -> Troubles {
        Troubles {
            damage: core::mem::take(&mut self.damage),
            lost: self.outbox.take_lost(),
            is_late: self.outbox.is_late(now, self.plan.tick),
        }
    }

    /// Merges if this worker leads. `busy` says that it answers requests.
    pub fn lead(&mut self, host: &impl Host, now: Duration, busy: bool) {
        self.leader.tick(host, now, busy);
    }

    /// A call of the leader's has ended.
    pub fn hear(&mut self, host: &impl Host, reply: &Reply, now: Duration) {
        self.leader.hear(host, reply, now);
    }
}
