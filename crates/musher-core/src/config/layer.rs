//! One source of configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::agents::{self, AgentConfig};
use super::forge::{self, ForgeConfig};
use super::keys::ROOT;
use super::price;
use super::project::{self, ProjectLayer};
use super::quota;
use super::reader::{self, Fields, clipped};
use super::relay::{self, HubConfig, RelayConfig};
use super::schedules;
use super::secret::{self, SecretRef};
use super::sinks::{self, SinkConfig};
use super::triggers;
use crate::plan::{PolicyPatch, read_policy};
use crate::price::Price;
use crate::problem::{Problems, Report, decode};
use crate::quota::Quotas;
use crate::schedule::ScheduleSpec;
use crate::trigger::TriggerSpec;

/// What one source says; everything may be left open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    /// `[project]`.
    pub project: ProjectLayer,
    /// `[policy]`.
    pub policy: PolicyPatch,
    /// `[[agents]]`, in the order of the file.
    pub agents: Vec<AgentConfig>,
    /// `[secrets]`.
    pub secrets: BTreeMap<String, SecretRef>,
    /// `[[sinks]]`, in the order of the file.
    pub sinks: Vec<SinkConfig>,
    /// `[[schedules]]`, in the order of the file.
    pub schedules: Vec<ScheduleSpec>,
    /// `[[triggers]]`, in the order of the file.
    pub triggers: Vec<TriggerSpec>,
    /// `[prices]`, by model.
    pub prices: BTreeMap<String, Price>,
    /// `[quota]`.
    pub quota: Quotas,
    /// `[forge]`.
    pub forge: ForgeConfig,
    /// `[relay]`.
    pub relay: RelayConfig,
    /// What holds of `[relay]` where no file says anything: the variables.
    pub relay_fallback: RelayConfig,
    /// `[hub]`.
    pub hub: HubConfig,
    /// `[server]`.
    pub server: ServerLayer,
}

/// Settings of the server in which any may be left open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerLayer {
    /// The address of the API and the dashboard.
    pub listen: Option<String>,
    /// Whether the daemon listens on TCP.
    pub http: Option<bool>,
}

/// Reads a configuration file. `file` names it in messages.
///
/// # Errors
/// Every problem of the file at once; after a syntax error only that one.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Layer, Problems> {
    let text = decode(file, bytes)?;
    reader::read(file, text, ROOT, read)
}

/// Takes a layer out of the root table.
pub(super) fn read(root: &Fields, report: &mut Report) -> Layer {
    Layer {
        project: root.table("project", report).map(|t| project::read(&t, report)).unwrap_or_default(),
        policy: root.table("policy", report).map(|t| read_policy(&t, report)).unwrap_or_default(),
        agents: agents::read(root, report),
        secrets: secret::read(root, report),
        sinks: sinks::read(root, report),
        schedules: schedules::read(root, report),
        triggers: triggers::read(root, report),
        prices: price::read(root, report),
        quota: root.table("quota", report).map(|t| quota::read(&t, report)).unwrap_or_default(),
        forge: root.table("forge", report).map(|t| forge::read(&t, report)).unwrap_or_default(),
        relay: root.table("relay", report).map(|t| relay::read(&t, report)).unwrap_or_default(),
        relay_fallback: RelayConfig::default(),
        hub: root.table("hub", report).map(|t| relay::read_hub(&t, report)).unwrap_or_default(),
        server: root.table("server", report).map(|t| read_server(&t, report)).unwrap_or_default(),
    }
}

fn read_server(fields: &Fields, report: &mut Report) -> ServerLayer {
    let listen = fields.text("listen", report);
    if let Some(address) = listen.filter(|address| !is_address(address)) {
        let what = format!("`{}` is no address with a port", clipped(address));
        report.add_with_fix(fields.place("listen"), what, "write one such as \"127.0.0.1:7787\" or \"[::1]:7787\"");
    }
    ServerLayer { listen: listen.map(str::to_owned), http: fields.flag("http", report) }
}

fn is_address(text: &str) -> bool {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
    local.is_some() || text.parse::<SocketAddr>().is_ok()
}
