//! The fit tables: how well an agent's roles suit an item, 0 to 120.

use crate::item::Kind;

/// A role that the tables know. Others may be named; they fit only an agent that names the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Servers and libraries.
    Backend,
    /// What people see.
    Frontend,
    /// Machines and pipelines.
    Devops,
    /// Tests.
    Tester,
    /// Judgement.
    Reviewer,
    /// Finding out.
    Researcher,
    /// Running things.
    Runner,
    /// Anything.
    Generalist,
}

impl Role {
    /// Every role, in the order of the tables.
    pub const ALL: [Self; 8] = [
        Self::Backend,
        Self::Frontend,
        Self::Devops,
        Self::Tester,
        Self::Reviewer,
        Self::Researcher,
        Self::Runner,
        Self::Generalist,
    ];

    /// The word in config and plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Frontend => "frontend",
            Self::Devops => "devops",
            Self::Tester => "tester",
            Self::Reviewer => "reviewer",
            Self::Researcher => "researcher",
            Self::Runner => "runner",
            Self::Generalist => "generalist",
        }
    }

    /// The role of this name or alias (test = tester; review, audit = reviewer; infra = devops), any case.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "test" => Some(Self::Tester),
            "review" | "audit" => Some(Self::Reviewer),
            "infra" => Some(Self::Devops),
            other => Self::ALL.into_iter().find(|role| role.name() == other),
        }
    }
}

/// How well an agent of these roles fits an item of this kind that names this role. 0 = never.
///
/// An agent without a role is a generalist; one with several takes its best.
pub fn fit(kind: Kind, wanted: Option<&str>, roles: &[Box<str>]) -> u32 {
    if roles.is_empty() {
        return fit_one(kind, wanted, Role::Generalist.name());
    }
    roles.iter().map(|role| fit_one(kind, wanted, role)).max().unwrap_or(0)
}

fn fit_one(kind: Kind, wanted: Option<&str>, has: &str) -> u32 {
    let role = Role::named(has);
    if kind == Kind::Review && role == Some(Role::Reviewer) {
        return 120;
    }
    if let Some(wanted) = wanted {
        let same = match (Role::named(wanted), role) {
            (Some(wanted), Some(has)) => wanted == has,
            (None, None) => wanted.eq_ignore_ascii_case(has),
            _ => false,
        };
        if same {
            return 100;
        }
    }
    // A role that the tables do not know counts as none: a generalist's.
    let has = role.unwrap_or(Role::Generalist);
    match wanted.and_then(Role::named) {
        Some(Role::Backend | Role::Frontend | Role::Devops) => for_maker(kind, has),
        Some(Role::Tester) => by_column(has, [30, 100, 5, 20, 20, 45]),
        Some(Role::Reviewer) => by_column(has, [0, 0, 100, 20, 0, 10]),
        // The tables have no row for these: as if no role were named.
        Some(Role::Researcher | Role::Runner | Role::Generalist) | None => by_kind(kind, has),
    }
}

fn for_maker(kind: Kind, has: Role) -> u32 {
    let tester = if kind == Kind::Implement { 5 } else { 15 };
    by_column(has, [35, tester, 0, 20, 20, 55])
}

fn by_kind(kind: Kind, has: Role) -> u32 {
    match kind {
        Kind::Implement => by_column(has, [60, 5, 0, 35, 35, 60]),
        Kind::Test => by_column(has, [45, 85, 10, 30, 30, 45]),
        Kind::Review => by_column(has, [5, 5, 100, 35, 5, 20]),
        Kind::Design => by_column(has, [55, 10, 30, 75, 20, 55]),
        Kind::MergeGate => by_column(has, [35, 10, 50, 20, 80, 35]),
        Kind::Followup => by_column(has, [50, 20, 10, 50, 35, 50]),
    }
}

/// A row of a table: backend·frontend·devops, tester, reviewer, researcher, runner, generalist.
const fn by_column(has: Role, row: [u32; 6]) -> u32 {
    match has {
        Role::Backend | Role::Frontend | Role::Devops => row[0],
        Role::Tester => row[1],
        Role::Reviewer => row[2],
        Role::Researcher => row[3],
        Role::Runner => row[4],
        Role::Generalist => row[5],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two tables as people read them; the columns are the agent's role.
    const BY_ROLE: &str = "
        item       kind       backend frontend devops tester reviewer researcher runner generalist
        backend    implement  100     35       35     5      0        20         20     55
        backend    test       100     35       35     15     0        20         20     55
        frontend   implement  35      100      35     5      0        20         20     55
        frontend   design     35      100      35     15     0        20         20     55
        devops     implement  35      35       100    5      0        20         20     55
        infra      merge_gate 35      35       100    15     0        20         20     55
        tester     implement  30      30       30     100    5        20         20     45
        test       test       30      30       30     100    5        20         20     45
        reviewer   implement  0       0        0      0      100      20         0      10
        audit      design     0       0        0      0      100      20         0      10
        review     implement  0       0        0      0      100      20         0      10
        reviewer   review     0       0        0      0      120      20         0      10
        backend    review     100     35       35     15     120      20         20     55
        none       implement  60      60       60     5      0        35         35     60
        none       test       45      45       45     85     10       30         30     45
        none       review     5       5        5      5      120      35         5      20
        none       design     55      55       55     10     30       75         20     55
        none       merge_gate 35      35       35     10     50       20         80     35
        none       followup   50      50       50     20     10       50         35     50
        magician   implement  60      60       60     5      0        35         35     60";

    #[test]
    fn every_cell_of_the_fit_tables_is_as_written() {
        let mut lines = BY_ROLE.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
        let header = lines.next().unwrap();
        for row in lines {
            let wanted = (row[0] != "none").then_some(row[0]);
            let kind = Kind::ALL.into_iter().find(|k| k.name() == row[1]).unwrap();
            for (name, cell) in header[2..].iter().zip(&row[2..]) {
                let got = fit(kind, wanted, &[Box::from(*name)]);
                assert_eq!(got.to_string(), *cell, "item of role {} and kind {}, agent {name}", row[0], row[1]);
            }
        }
    }

    #[test]
    fn an_agent_may_be_called_by_another_word_of_its_role() {
        let words = [("test", "tester"), ("review", "reviewer"), ("audit", "reviewer"), ("infra", "devops")];
        for (alias, role) in words {
            for kind in Kind::ALL {
                for wanted in [None, Some("backend"), Some("tester"), Some("reviewer"), Some("infra")] {
                    let of = |role: &str| fit(kind, wanted, &[Box::from(role)]);
                    assert_eq!(of(alias), of(role), "{alias}, {kind:?}, {wanted:?}");
                }
            }
        }
    }

    #[test]
    fn an_agent_without_a_role_is_a_generalist() {
        for kind in Kind::ALL {
            assert_eq!(fit(kind, None, &[]), fit(kind, None, &["generalist".into()]));
        }
    }

    #[test]
    fn an_agent_with_several_roles_takes_its_best() {
        let roles: [Box<str>; 2] = ["reviewer".into(), "tester".into()];
        assert_eq!(fit(Kind::Test, None, &roles), 85);
        assert_eq!(fit(Kind::Review, None, &roles), 120);
    }

    #[test]
    fn a_role_that_the_tables_do_not_know_fits_an_agent_that_names_the_same() {
        assert_eq!(fit(Kind::Implement, Some("Magician"), &["magician".into()]), 100);
        assert_eq!(fit(Kind::Implement, Some("magician"), &["juggler".into()]), 60);
    }
}
