//! The session that a program works in, as its stream tells it.

use super::Observation;

/// The stream names this session; seen once, for most programs name it in every event.
pub(super) fn named(session: &mut Option<String>, id: &str, seen: &mut Vec<Observation>) {
    if !id.is_empty() && session.as_deref() != Some(id) {
        *session = Some(id.to_owned());
        seen.push(Observation::SessionStarted { id: id.to_owned(), resumable: true });
    }
}
