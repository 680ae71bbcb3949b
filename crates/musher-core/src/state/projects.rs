//! The projects of a hub in memory: how far each has told. What they told stays on disk.

use super::State;
use crate::hub::Row;

impl State {
    pub(super) fn put_of_hub(&mut self, row: Row) {
        match row {
            Row::Project(project) => drop(self.projects.insert(project.id, project)),
            Row::Gone(id) => drop(self.projects.remove(&id)),
            Row::Emptied(_) | Row::Mission(..) | Row::Item(..) | Row::Event(_) => {}
        }
    }
}
