//! The fit tables, typed once more.

use musher_core::item::Kind;

/// backend·frontend·devops, tester, reviewer, researcher, runner, generalist.
type Row = [i64; 6];

/// The rows of the items' roles. That of the makers says of testers what holds for all kinds but implement.
const BY_ROLE: [(&[&str], Row); 3] = [
    (&["backend", "frontend", "devops"], [35, 15, 0, 20, 20, 55]),
    (&["tester"], [30, 100, 5, 20, 20, 45]),
    (&["reviewer"], [0, 0, 100, 20, 0, 10]),
];

const fn by_kind(kind: Kind) -> Row {
    match kind {
        Kind::Implement => [60, 5, 0, 35, 35, 60],
        Kind::Test => [45, 85, 10, 30, 30, 45],
        Kind::Review => [5, 5, 100, 35, 5, 20],
        Kind::Design => [55, 10, 30, 75, 20, 55],
        Kind::MergeGate => [35, 10, 50, 20, 80, 35],
        Kind::Followup => [50, 20, 10, 50, 35, 50],
    }
}

/// One word for each role: test = tester; review, audit = reviewer; infra = devops.
fn word(role: &str) -> String {
    let role = role.to_lowercase();
    match role.as_str() {
        "test" => "tester".to_owned(),
        "review" | "audit" => "reviewer".to_owned(),
        "infra" => "devops".to_owned(),
        _ => role,
    }
}

/// Where an agent of this role stands in a row. A role that the tables do not know is a generalist's.
fn column(role: &str) -> usize {
    match role {
        "backend" | "frontend" | "devops" => 0,
        "tester" => 1,
        "reviewer" => 2,
        "researcher" => 3,
        "runner" => 4,
        _ => 5,
    }
}

pub(super) fn is_reviewer(roles: &[Box<str>]) -> bool {
    roles.iter().any(|role| word(role) == "reviewer")
}

/// The best of the agent's roles; without one it is a generalist.
pub(super) fn fit(kind: Kind, wanted: Option<&str>, roles: &[Box<str>]) -> i64 {
    let one = |role: &str| fit_of(kind, wanted.map(word).as_deref(), &word(role));
    roles.iter().map(|role| one(role)).max().unwrap_or_else(|| one("generalist"))
}

fn fit_of(kind: Kind, wanted: Option<&str>, role: &str) -> i64 {
    if kind == Kind::Review && role == "reviewer" {
        return 120;
    }
    if wanted == Some(role) {
        return 100;
    }
    let row = wanted.and_then(|wanted| BY_ROLE.into_iter().find(|(names, _)| names.contains(&wanted)));
    match row {
        Some((names, _)) if names.contains(&"backend") && role == "tester" && kind == Kind::Implement => 5,
        Some((_, row)) => row[column(role)],
        None => by_kind(kind)[column(role)],
    }
}
