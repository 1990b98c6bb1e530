//! What could not be imported, and what differs.

/// What the import tells about its result.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What the config does not say in the same way as the source. It denies more there.
    pub(super) not_imported: Vec<Item>,
    /// Differences of the filter itself, which let nothing through that the source denies.
    pub(super) notes: Vec<String>,
}

/// One thing that could not be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Where it is: file, object and rule.
    pub(super) source: String,
    /// What it is.
    pub(super) what: String,
    /// Why it could not be imported, and what the config does instead.
    pub(super) why: String,
}

impl Report {
    pub(super) fn list(&mut self, source: &str, what: &str, why: &str) {
        let item = Item {
            source: source.to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
        };
        if !self.not_imported.contains(&item) {
            self.not_imported.push(item);
        }
    }

    pub(super) fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }
}
