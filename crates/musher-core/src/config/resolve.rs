//! The configuration that holds: all layers over each other, and the defaults below them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agents::AgentConfig;
use super::forge::ForgeConfig;
use super::layer::{Layer, ServerLayer};
use super::relay::{HubConfig, RelayConfig};
use super::secret::SecretRef;
use super::settings::ProjectSettings;
use super::sinks::SinkConfig;
use crate::mission::Policy;
use crate::plan::PolicyPatch;
use crate::price::Prices;
use crate::schedule::ScheduleSpec;
use crate::trigger::TriggerSpec;

/// The configuration that holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How work is made, checked and merged.
    pub project: ProjectSettings,
    /// The policy of missions that state none of their own.
    pub policy: Policy,
    /// The agents, also those that are not enabled; each name once.
    pub agents: Vec<AgentConfig>,
    /// Where secrets are to be found, by name.
    pub secrets: BTreeMap<String, SecretRef>,
    /// Who is sent events; each name once.
    pub sinks: Vec<SinkConfig>,
    /// What happens by itself; each name once.
    pub schedules: Vec<ScheduleSpec>,
    /// What follows on events; each name once.
    pub triggers: Vec<TriggerSpec>,
    /// Where issues and pull requests are.
    pub forge: ForgeConfig,
    /// Which hub is told of what happens.
    pub relay: RelayConfig,
    /// Who may tell this hub.
    pub hub: HubConfig,
    /// The daemon's HTTP side.
    pub server: ServerSettings,
}

/// The settings of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSettings {
    /// The address of the API and the dashboard. Default `127.0.0.1:7787`.
    pub listen: String,
    /// Whether the daemon listens on TCP besides its socket. Default true.
    pub http: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7787".to_owned(), http: true }
    }
}

impl Layer {
    /// This layer with everything that `over` says in its place. An agent, a sink, a schedule, a trigger, a secret or a price of
    /// `over` replaces the one of the same name as a whole.
    #[must_use]
    pub fn merge(self, over: Self) -> Self {
        let mut agents = self.agents;
        for agent in over.agents {
            match agents.iter_mut().find(|known| known.name == agent.name) {
                Some(known) => *known = agent,
                None => agents.push(agent),
            }
        }
        let mut sinks = self.sinks;
        for sink in over.sinks {
            match sinks.iter_mut().find(|known| known.name == sink.name) {
                Some(known) => *known = sink,
                None => sinks.push(sink),
            }
        }
        let mut schedules = self.schedules;
        for schedule in over.schedules {
            match schedules.iter_mut().find(|known| known.name == schedule.name) {
                Some(known) => *known = schedule,
                None => schedules.push(schedule),
            }
        }
        let mut triggers = self.triggers;
        for trigger in over.triggers {
            match triggers.iter_mut().find(|known| known.name == trigger.name) {
                Some(known) => *known = trigger,
                None => triggers.push(trigger),
            }
        }
        let mut secrets = self.secrets;
        secrets.extend(over.secrets);
        let mut prices = self.prices;
        prices.extend(over.prices);
        Self {
            project: self.project.merge(over.project),
            policy: self.policy.merge(over.policy),
            agents,
            secrets,
            sinks,
            schedules,
            triggers,
            prices,
            quota: self.quota.merge(over.quota),
            forge: self.forge.merge(over.forge),
            relay: self.relay.merge(over.relay),
            relay_fallback: self.relay_fallback.merge(over.relay_fallback),
            hub: self.hub.merge(over.hub),
            server: ServerLayer {
                listen: over.server.listen.or(self.server.listen),
                http: over.server.http.or(self.server.http),
            },
        }
    }
}

impl Config {
    /// Lays the layers over each other, the weakest first: the user's own file, the repository's `musher.toml`, the
    /// environment.
    pub fn resolve(layers: impl IntoIterator<Item = Layer>) -> Self {
        let layer = layers.into_iter().fold(Layer::default(), Layer::merge);
        let server = ServerSettings::default();
        let policy = policy(&layer.policy);
        let with_policy = |spec: ScheduleSpec| ScheduleSpec { policy: policy.clone(), ..spec };
        let of_policy = |spec: TriggerSpec| TriggerSpec { policy: policy.clone(), ..spec };
        Self {
            schedules: layer.schedules.into_iter().map(with_policy).collect(),
            triggers: layer.triggers.into_iter().map(of_policy).collect(),
            project: ProjectSettings {
                prices: Prices(layer.prices),
                quota: layer.quota,
                webhooks: layer.forge.webhook.is_some(),
                posts_reviews: layer.forge.review_token.is_some(),
                ..layer.project.settings()
            },
            policy: policy.clone(),
            agents: layer.agents,
            secrets: layer.secrets,
            sinks: layer.sinks,
            forge: layer.forge,
            relay: layer.relay_fallback.merge(layer.relay),
            hub: layer.hub,
            server: ServerSettings {
                listen: layer.server.listen.unwrap_or(server.listen),
                http: layer.server.http.unwrap_or(server.http),
            },
        }
    }

    /// The agents that are there.
    pub fn enabled_agents(&self) -> impl Iterator<Item = &AgentConfig> {
        self.agents.iter().filter(|agent| agent.enabled)
    }
}

fn policy(patch: &PolicyPatch) -> Policy {
    patch.apply(Policy::default())
}
