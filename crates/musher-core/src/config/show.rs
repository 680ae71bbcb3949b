//! The configuration that holds, as a file: what `musher config show` prints.

use std::fmt::Write;

use super::agents::AgentConfig;
use super::forge::ForgeConfig;
use super::project::{committer_name, style_name};
use super::quantity::{show_bytes, show_seconds};
use super::relay::RelayConfig;
use super::resolve::Config;
use super::secret::SecretRef;
use super::settings::ProjectSettings;
use super::sinks::{SinkConfig, SinkTo};
use crate::action::{Action, PlanFrom};
use crate::approval::Approvals;
use crate::mission::Policy;
use crate::plan::{toml_array, toml_string};
use crate::price::Price;
use crate::quota::{Quotas, Rules, Unit};
use crate::schedule::{ScheduleSpec, When};
use crate::trigger::TriggerSpec;

impl Config {
    /// A `musher.toml` that means just this configuration, every default written out. Secrets stay references.
    pub fn to_toml(&self) -> String {
        let mut file = File(String::new());
        file.project(&self.project);
        file.policy(&self.policy);
        file.section("[server]");
        file.text("listen", Some(&self.server.listen));
        file.line("http", self.server.http);
        file.forge(&self.forge);
        file.relay(&self.relay);
        file.section("[hub]");
        file.line("tokens", toml_array(&self.hub.tokens.iter().map(SecretRef::text).collect::<Vec<_>>()));
        file.section("[secrets]");
        for (name, reference) in &self.secrets {
            file.text(&toml_string(name), Some(&reference.text()));
        }
        for (model, price) in &self.project.prices.0 {
            file.price(model, *price);
        }
        file.quota(&self.project.quota);
        for agent in &self.agents {
            file.agent(agent);
        }
        for schedule in &self.schedules {
            file.schedule(schedule);
        }
        for trigger in &self.triggers {
            file.trigger(trigger);
        }
        for sink in &self.sinks {
            file.sink(sink);
        }
        file.0
    }
}

struct File(String);

impl File {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{gap}{name}");
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        text.into_iter().for_each(|text| self.line(key, toml_string(text)));
    }

    fn project(&mut self, project: &ProjectSettings) {
        self.section("[project]");
        self.text("base", project.base.as_deref());
        self.text("gate", project.gate.as_deref());
        self.text("gate_timeout", Some(&show_seconds(project.gate_timeout_secs)));
        self.text("delivery", Some(project.delivery.name()));
        self.text("merge_style", Some(style_name(project.merge_style)));
        self.line("gate_slots", project.gate_slots);
        self.line("batch_max", project.batch_max);
        self.line("push", project.push);
        self.line("require_checks", project.require_checks);
        self.line("ci_fix_attempts", project.ci_fix_attempts);
        self.text("commit", Some(committer_name(project.commit)));
        self.text("qa", Some(project.qa.name()));
        self.text("max_file_size", Some(&show_bytes(project.max_file_size_bytes)));
        self.line("enforce_touches", project.enforce_touches);
        self.text("setup", project.setup.as_deref());
        self.text("teardown", project.teardown.as_deref());
        self.text("prompt", project.prompt.as_deref());
        self.line("copy", toml_array(&project.copy));
        self.line("keep", toml_array(&project.keep));
        self.text("min_free", Some(&show_bytes(project.min_free_bytes)));
        self.line("worktree_pool", project.worktree_pool);
        self.text("done_retention", Some(&show_seconds(project.done_retention_secs)));
        self.text("retention", Some(&show_seconds(project.retention_secs)));
    }

    fn policy(&mut self, policy: &Policy) {
        self.section("[policy]");
        self.line("max_parallel_items", policy.max_parallel_items);
        self.line("max_added_items", policy.max_added_items);
        self.line("reviewer_required", policy.reviewer_required);
        self.line("auto_merge", policy.auto_merge);
        self.line("watch_interval_secs", policy.watch_interval_secs);
        self.line("max_retries", policy.max_retries);
        policy.budget_usd.into_iter().for_each(|usd| self.line("budget_usd", format_args!("{usd:?}")));
        policy.budget_tokens.into_iter().for_each(|tokens| self.line("budget_tokens", tokens));
        self.text("on_cap", Some(policy.on_cap.name()));
        self.text("on_rate_limit", Some(policy.on_rate_limit.name()));
        policy.deadline.into_iter().for_each(|moment| self.text("deadline", Some(&moment.to_string())));
        self.line("weight", policy.weight);
    }

    fn price(&mut self, model: &str, price: Price) {
        self.section(&format!("[prices.{}]", toml_string(model)));
        let Price { input, output, cache_read, cache_write } = price;
        for (key, micro_usd) in
            [("input", input), ("output", output), ("cache_read", cache_read), ("cache_write", cache_write)]
        {
            self.line(key, format_args!("{:?}", micro_usd as f64 / 1e6));
        }
    }

    fn forge(&mut self, forge: &ForgeConfig) {
        self.section("[forge]");
        self.text("repo", forge.repo.as_deref());
        self.text("api", forge.api.as_deref());
        self.text("token", forge.token.as_ref().map(SecretRef::text).as_deref());
        self.text("review_token", forge.review_token.as_ref().map(SecretRef::text).as_deref());
        self.text("webhook", forge.webhook.as_ref().map(SecretRef::text).as_deref());
        self.line("trust", toml_array(&forge.trust));
    }

    fn relay(&mut self, relay: &RelayConfig) {
        self.section("[relay]");
        self.text("url", relay.url.as_deref());
        self.text("token", relay.token.as_ref().map(SecretRef::text).as_deref());
        self.text("project", relay.project.as_deref());
        relay.allow_http.into_iter().for_each(|allowed| self.line("allow_http", allowed));
    }

    fn sink(&mut self, sink: &SinkConfig) {
        self.section("[[sinks]]");
        self.text("name", Some(&sink.name));
        self.text("kind", Some(sink.kind().name()));
        match &sink.to {
            SinkTo::Webhook { url, secret } => {
                self.text("url", Some(url));
                self.text("secret", Some(&secret.text()));
            }
            SinkTo::File { path, max_size_bytes, keep } => {
                self.text("path", Some(path));
                self.text("max_size", Some(&show_bytes(*max_size_bytes)));
                self.line("keep", keep);
            }
            SinkTo::Desktop | SinkTo::Relay { .. } => {}
        }
        self.line("kinds", toml_array(&sink.kinds));
        self.line("missions", toml_array(&sink.missions));
        self.text("from", Some(sink.from.name()));
    }

    fn schedule(&mut self, schedule: &ScheduleSpec) {
        self.section("[[schedules]]");
        self.text("name", Some(&schedule.name));
        match &schedule.when {
            When::Cron { expression, tz } => {
                self.text("cron", Some(expression));
                self.text("tz", Some(if tz.is_empty() { "UTC" } else { tz }));
            }
            When::Every { secs } => self.text("every", Some(&show_seconds(*secs))),
            When::At(at) => self.text("at", Some(&at.to_string())),
        }
        if let Some(check) = &schedule.check {
            let argv: Vec<String> = check.argv.iter().map(ToString::to_string).collect();
            self.line("check", toml_array(&argv));
            self.text("run_on", Some(check.run_on.name()));
            self.text("check_timeout", Some(&show_seconds(check.timeout_secs)));
        }
        self.action(&schedule.action);
        self.text("overlap", Some(schedule.overlap.name()));
        self.text("misfire", Some(schedule.misfire.name()));
        self.text("timeout", Some(&show_seconds(schedule.timeout_secs)));
        self.text("notify", Some(schedule.notify.name()));
        self.line("enabled", schedule.enabled);
    }

    fn trigger(&mut self, trigger: &TriggerSpec) {
        self.section("[[triggers]]");
        self.text("name", Some(&trigger.name));
        self.action(&trigger.action);
        self.text("mode", Some(trigger.mode.name()));
        if let Some(most) = trigger.max_fires {
            self.line("max_fires", most);
        }
        self.text("cooldown", Some(&show_seconds(trigger.cooldown_secs)));
        self.text("expires", trigger.expires.map(|at| at.to_string()).as_deref());
        self.line("enabled", trigger.enabled);
        self.section("[triggers.on]");
        let on = &trigger.on;
        if !on.kinds.is_empty() {
            let kinds: Vec<String> = on.kinds.iter().map(ToString::to_string).collect();
            self.line("kinds", toml_array(&kinds));
        }
        self.text("mission", on.mission.as_deref());
        self.text("item", on.item.as_deref());
        self.text("agent", on.agent.as_deref());
        self.text("from_state", on.from_state.as_deref());
        self.text("to_state", on.to_state.as_deref());
        self.text("label", on.label.as_deref());
        self.text("text", on.text.as_deref());
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Prompt { text, agent } => {
                self.text("prompt", Some(text));
                self.text("agent", agent.as_deref());
            }
            Action::Mission(PlanFrom::Text(text)) => self.text("plan", Some(text)),
            Action::Mission(PlanFrom::File(path)) => self.text("plan_file", Some(path)),
            Action::Note { mission, text } => {
                self.text("note", Some(text));
                self.text("mission", Some(mission));
            }
        }
    }

    fn quota(&mut self, quota: &Quotas) {
        self.section("[quota]");
        self.text("timezone", Some(if quota.timezone.is_empty() { "UTC" } else { &quota.timezone }));
        for (name, rules) in [("workspace", &quota.workspace), ("repo", &quota.repo)] {
            if !rules.is_empty() {
                self.section(&format!("[quota.{name}]"));
                self.caps(rules);
            }
        }
        for (model, rules) in &quota.models {
            self.section(&format!("[quota.model.{}]", toml_string(model)));
            self.caps(rules);
        }
    }

    fn caps(&mut self, rules: &Rules) {
        for (cap, number) in &rules.caps {
            match cap.unit() {
                Unit::Count => self.line(cap.name(), number),
                Unit::Seconds => self.text(cap.name(), Some(&show_seconds(*number))),
                Unit::MicroUsd => self.line(cap.name(), format_args!("{:?}", *number as f64 / 1e6)),
            }
        }
        if let Some(models) = &rules.model_allowlist {
            let models: Vec<String> = models.iter().map(ToString::to_string).collect();
            self.line("model_allowlist", toml_array(&models));
        }
    }

    fn agent(&mut self, agent: &AgentConfig) {
        self.section("[[agents]]");
        self.text("name", Some(&agent.name));
        self.text("driver", Some(&agent.driver));
        // Without one it is the driver's; an empty one is refused.
        if !agent.command.is_empty() {
            self.line("command", toml_array(&agent.command));
        }
        self.line("roles", toml_array(&agent.roles));
        self.line("capabilities", toml_array(&agent.capabilities));
        self.text("model", agent.model.as_deref());
        self.line("max_load", agent.max_load);
        self.line("env", toml_array(&agent.env));
        self.text("nickname", agent.nickname.as_deref());
        self.text("node", agent.node.as_deref());
        self.line("enabled", agent.enabled);
        self.text("approvals", agent.approvals.map(Approvals::name));
        self.line("allow", toml_array(&agent.allow));
        self.line("deny", toml_array(&agent.deny));
        self.text("approval_timeout", Some(&show_seconds(agent.approval_timeout_secs)));
        self.text("home", agent.home.as_deref());
        self.text("sandbox", Some(agent.sandbox.name()));
        self.section("[agents.limits]");
        self.line("turns", agent.limits.turns);
        self.text("duration", Some(&show_seconds(agent.limits.duration_secs)));
        self.text("silence", Some(&show_seconds(agent.limits.silence_secs)));
        agent.limits.usd.into_iter().for_each(|usd| self.line("usd", format_args!("{usd:?}")));
        agent.limits.tokens.into_iter().for_each(|tokens| self.line("tokens", tokens));
        self.text("max_output", Some(&show_bytes(agent.limits.max_output_bytes)));
        if !agent.quota.is_empty() {
            self.section("[agents.quota]");
            self.caps(&agent.quota);
        }
    }
}
