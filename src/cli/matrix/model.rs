//! The matrix: routes × columns, of one config or of two beside each other.

use std::collections::HashMap;

use crate::config::{Config, Mode};
use crate::policy::access::Access;
use crate::policy::route::Route;

use super::column::{Column, ColumnKind, columns, peer_patterns};
use super::compare;
use super::evaluate::{Cell, CellAccess, Sender};
use super::words;

/// A config and its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'c> {
    /// The file, as shown.
    pub(super) name: &'c str,
    /// The config.
    pub(super) config: &'c Config,
}

/// The matrix of a config, and of an older one if they are compared.
#[derive(Debug)]
pub(super) struct Matrix {
    /// The config's name.
    pub(super) name: String,
    /// The older config's name.
    pub(super) old_name: Option<String>,
    /// What each column stands for.
    pub(super) columns: Vec<ColumnInfo>,
    /// The routes in the order of the config, then routes that only the older config has, then the row for
    /// requests that no route matches.
    pub(super) rows: Vec<Row>,
    /// The distinct cells.
    cells: Vec<Cell>,
}

/// A column.
#[derive(Debug)]
pub(super) struct ColumnInfo {
    /// What is known about the sender.
    pub(super) column: Column,
    /// Why no request can be as the column says.
    pub(super) note: Option<String>,
}

/// A row: a route, or the requests that no route matches.
#[derive(Debug)]
pub(super) struct Row {
    /// The route in the config; `None` if only the older one has it.
    pub(super) new: Option<RouteInfo>,
    /// The route in the older config.
    pub(super) old: Option<RouteInfo>,
    /// If only one config has the route: the route that decides about a sample request in the other one.
    pub(super) instead: Option<String>,
    /// One for each column.
    pub(super) cells: Vec<CellPair>,
}

/// The cell of the config, and of the older one.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellPair {
    /// The config's; `None` if it is not known what decides there.
    pub(super) new: Option<CellId>,
    /// The older config's.
    pub(super) old: Option<CellId>,
    /// How they differ.
    pub(super) change: Option<Change>,
}

/// The index of a distinct cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CellId(pub(super) usize);

/// How a cell changes from the older config to the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Requests are allowed that were denied.
    NewlyAllowed,
    /// Requests are denied that were allowed.
    NewlyDenied,
    /// Conditional on something else.
    Conditions,
}

/// How a row changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowChange {
    /// Only the newer config has the route.
    Added,
    /// Only the older config has it.
    Removed,
    /// Host, method, path, mode or a cell differs.
    Changed,
}

/// What a row shows of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RouteInfo {
    /// `None` for the requests that no route matches.
    pub(super) name: Option<String>,
    /// Empty for every host.
    pub(super) hosts: Vec<String>,
    /// Empty for every method.
    pub(super) methods: Vec<String>,
    /// The path pattern.
    pub(super) path: String,
    /// Whether denials are recorded only.
    pub(super) shadow: bool,
    /// The percentage of subjects whose denials are enforced.
    pub(super) enforce_percent: u8,
    /// Whether everyone is allowed.
    pub(super) public: bool,
    /// Whether all roles together give access and none alone does.
    pub(super) needs_several_roles: bool,
    /// The alternatives, in words.
    pub(super) allow: Vec<Vec<String>>,
}

/// The routes of one config with their cells.
pub(super) struct Side<'c> {
    pub(super) config: &'c Config,
    pub(super) routes: Vec<(RouteInfo, Vec<CellId>)>,
}

/// The distinct cells while the matrix is built.
#[derive(Default)]
struct Cells {
    list: Vec<Cell>,
    ids: HashMap<Cell, CellId>,
}

impl Matrix {
    /// Evaluates the config, and compares it with `old`.
    pub(super) fn new(new: Named<'_>, old: Option<Named<'_>>, kinds: &[ColumnKind]) -> Self {
        let configs: Vec<&Config> = [Some(new), old]
            .into_iter()
            .flatten()
            .map(|it| it.config)
            .collect();
        let columns = columns(&configs, kinds);
        let mut cells = Cells::default();
        let (new_side, notes) = side(new.config, &configs, &columns, &mut cells);
        let old_side = old.map(|old| side(old.config, &configs, &columns, &mut cells).0);
        let columns = columns.into_iter().zip(notes);
        Self {
            name: new.name.to_owned(),
            old_name: old.map(|old| old.name.to_owned()),
            columns: columns
                .map(|(column, note)| ColumnInfo { column, note })
                .collect(),
            rows: compare::rows(new_side, old_side, &cells.list),
            cells: cells.list,
        }
    }

    /// A distinct cell.
    pub(super) fn cell(&self, id: CellId) -> Option<&Cell> {
        self.cells.get(id.0)
    }

    /// All distinct cells.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// How often a cell changes in this way.
    pub(super) fn count(&self, change: Change) -> usize {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.filter(|cell| cell.change == Some(change)).count()
    }

    /// Removes the rows and columns in which nothing changes.
    pub(super) fn keep_changes(&mut self) {
        self.rows.retain(|row| row.change().is_some());
        let has_change = |index: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.cells.get(index));
            cells.any(|cell| cell.change.is_some())
        };
        let keep: Vec<bool> = (0..self.columns.len()).map(has_change).collect();
        retain(&mut self.columns, &keep);
        for row in &mut self.rows {
            retain(&mut row.cells, &keep);
        }
    }
}

impl Row {
    /// The route as the row shows it: the newer one, if there is one.
    pub(super) fn shown(&self) -> Option<&RouteInfo> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// How the row changes; `None` if it does not, or if nothing is compared.
    pub(super) fn change(&self) -> Option<RowChange> {
        match (&self.new, &self.old) {
            (_, None) if self.instead.is_some() => Some(RowChange::Added),
            (None, _) => Some(RowChange::Removed),
            (Some(new), Some(old)) => {
                let differs = new != old || self.cells.iter().any(|cell| cell.change.is_some());
                differs.then_some(RowChange::Changed)
            }
            (Some(_), None) => None,
        }
    }
}

impl RouteInfo {
    /// The mode in words: `enforce`, `enforce 50 %` or `shadow`.
    pub(super) fn mode(&self) -> String {
        match (self.shadow, self.enforce_percent) {
            (true, _) => "shadow".to_owned(),
            (false, 100) => "enforce".to_owned(),
            (false, percent) => format!("enforce {percent} %"),
        }
    }

    /// The name, or what the row without a route is about.
    pub(super) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or("(no route)")
    }

    fn of(route: &Route, config: &Config) -> Self {
        Self {
            name: Some(route.name.clone()),
            hosts: route.hosts.iter().map(ToString::to_string).collect(),
            methods: route.methods.iter().map(ToString::to_string).collect(),
            path: route.path.to_string(),
            shadow: route.shadow || config.mode == Mode::Shadow,
            enforce_percent: route.enforce_percent.get(),
            public: route.access.is_public(),
            needs_several_roles: false,
            allow: alternatives(&route.access),
        }
    }

    fn without_route(config: &Config) -> Self {
        let allow = if config.rbac.default_authenticated {
            alternatives(&Access::authenticated())
        } else {
            Vec::new()
        };
        Self {
            name: None,
            hosts: Vec::new(),
            methods: Vec::new(),
            path: "any other".to_owned(),
            shadow: config.mode == Mode::Shadow,
            enforce_percent: 100,
            public: false,
            needs_several_roles: false,
            allow,
        }
    }
}

impl Change {
    /// As machine-readable output has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NewlyAllowed => "newly_allowed",
            Self::NewlyDenied => "newly_denied",
            Self::Conditions => "conditions_changed",
        }
    }

    /// How a cell changes.
    pub(super) fn between(old: &Cell, new: &Cell) -> Option<Self> {
        use CellAccess::{Allowed, Conditional, Denied};
        match (old.access, new.access) {
            (Denied, Allowed | Conditional) | (Conditional, Allowed) => Some(Self::NewlyAllowed),
            (Allowed, Denied | Conditional) | (Conditional, Denied) => Some(Self::NewlyDenied),
            (Conditional, Conditional) => (!old.open().eq(new.open())).then_some(Self::Conditions),
            (Allowed, Allowed) | (Denied, Denied) => None,
        }
    }
}

impl RowChange {
    /// As machine-readable output has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

impl Cells {
    fn id(&mut self, cell: Cell) -> CellId {
        if let Some(id) = self.ids.get(&cell) {
            return *id;
        }
        let id = CellId(self.list.len());
        self.list.push(cell.clone());
        self.ids.insert(cell, id);
        id
    }
}

/// The routes of one config, and the notes on the columns.
fn side<'c>(
    config: &'c Config,
    configs: &[&Config],
    columns: &[Column],
    cells: &mut Cells,
) -> (Side<'c>, Vec<Option<String>>) {
    let patterns = peer_patterns(configs);
    let senders: Vec<Sender<'_>> = columns
        .iter()
        .map(|column| Sender::new(config, column, &patterns))
        .collect();
    let with_all = Sender::with_all_roles(config);
    let mut routes = Vec::new();
    for route in config.rbac.routes.routes() {
        let found = senders.iter().map(|sender| sender.access(&route.access));
        let found: Vec<Cell> = found.collect();
        let mut info = RouteInfo::of(route, config);
        let is_denied = |(column, cell): (&Column, &Cell)| {
            !matches!(column, Column::Role(_)) || cell.access == CellAccess::Denied
        };
        info.needs_several_roles = columns.iter().any(|it| matches!(it, Column::Role(_)))
            && columns.iter().zip(&found).all(is_denied)
            && with_all.access(&route.access).access != CellAccess::Denied;
        let ids = found.into_iter().map(|cell| cells.id(cell)).collect();
        routes.push((info, ids));
    }
    let ids = senders
        .iter()
        .map(|sender| cells.id(sender.access_without_route()))
        .collect();
    routes.push((RouteInfo::without_route(config), ids));
    let notes = senders
        .iter()
        .map(|sender| sender.note().map(str::to_owned))
        .collect();
    (Side { config, routes }, notes)
}

fn alternatives(access: &Access) -> Vec<Vec<String>> {
    access
        .alternatives()
        .iter()
        .map(words::alternative)
        .collect()
}

/// Keeps the elements for which `keep` is true.
fn retain<T>(list: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    list.retain(|_| keep.next().copied().unwrap_or(false));
}
