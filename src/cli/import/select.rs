//! Which of Istio's objects apply to the workload whose filter is configured.

use std::collections::BTreeMap;

use super::Input;
use super::fields::{Fields, text_of};
use super::listed::Report;
use crate::cli::CommandError;

/// An object of Istio's API.
#[derive(Debug)]
pub(super) struct Object<'i> {
    pub(super) kind: &'i str,
    pub(super) namespace: Option<&'i str>,
    pub(super) spec: Fields<'i>,
    /// File, kind and name.
    pub(super) place: String,
    metadata: Fields<'i>,
}

/// Which objects are wanted.
pub(super) struct Selection<'o> {
    pub(super) namespace: Option<&'o str>,
    pub(super) root_namespace: &'o str,
    pub(super) labels: BTreeMap<String, String>,
}

/// What an object applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    /// `targetRefs`, as text.
    targets: Vec<String>,
}

const KINDS: [&str; 3] = [
    "RequestAuthentication",
    "AuthorizationPolicy",
    "VirtualService",
];

impl<'i> Object<'i> {
    pub(super) fn of(input: &'i Input) -> Option<Self> {
        let fields = Fields::of(Some(&input.json));
        let kind = fields.text("kind").filter(|kind| KINDS.contains(kind))?;
        // Others have objects of these names, too.
        let version = fields.text("api_version");
        if version.is_some_and(|version| !version.contains(".istio.io/")) {
            return None;
        }
        let metadata = fields.object("metadata");
        let name = metadata.text("name").unwrap_or("without name");
        let namespace = metadata.text("namespace");
        let full = namespace.map_or_else(
            || name.to_owned(),
            |namespace| format!("{namespace}/{name}"),
        );
        Some(Self {
            kind,
            namespace,
            spec: fields.object("spec"),
            place: format!("{}: {kind} {full}", input.file),
            metadata,
        })
    }

    pub(super) fn is_dry_run(&self) -> bool {
        let mut annotations = self.metadata.object("annotations").members();
        annotations.any(|(name, value)| {
            let text = text_of(value).unwrap_or_default();
            name == "istio.io/dry-run"
                && matches!(text.as_str(), "1" | "t" | "T" | "true" | "True" | "TRUE")
        })
    }

    fn scope(&self) -> Scope {
        let labels = self
            .spec
            .object("selector")
            .object("match_labels")
            .members();
        let targets = self
            .spec
            .list("target_refs")
            .iter()
            .chain(self.spec.get("target_ref"));
        Scope {
            namespace: self.namespace.map(str::to_owned),
            labels: labels
                .filter_map(|(name, value)| Some((name.to_owned(), text_of(value)?)))
                .collect(),
            targets: targets
                .map(|target| super::fields::to_value(target).to_string())
                .collect(),
        }
    }
}

impl Selection<'_> {
    /// The objects that apply to one workload.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if they are for several, and none is selected.
    pub(super) fn applicable<'i>(
        &self,
        objects: Vec<Object<'i>>,
        report: &mut Report,
    ) -> Result<Vec<Object<'i>>, CommandError> {
        let scoped: Vec<(Scope, Object<'i>)> = objects
            .into_iter()
            .filter(|object| object.kind != "VirtualService")
            .map(|object| (object.scope(), object))
            .collect();
        let workload = self.selected(&scoped)?;
        let (kept, others): (Vec<_>, Vec<_>) = scoped
            .into_iter()
            .partition(|(scope, _)| self.applies(scope, &workload));
        for (_, object) in others {
            let place = &object.place;
            report.note(&format!(
                "{place} applies to other workloads, and is left out."
            ));
        }
        // Without any object, Istio would allow every request: that is not what was asked for.
        if kept.is_empty() {
            return Err(CommandError::Usage(
                "no RequestAuthentication or AuthorizationPolicy applies to this workload; check --namespace and --label".to_owned(),
            ));
        }
        Ok(kept.into_iter().map(|(_, object)| object).collect())
    }

    /// The workload, as the narrowest scope.
    fn selected(&self, scoped: &[(Scope, Object<'_>)]) -> Result<Scope, CommandError> {
        let scopes = || scoped.iter().map(|(scope, _)| scope);
        let is_chosen = self.namespace.is_some() || !self.labels.is_empty();
        let chosen = Scope {
            namespace: self.namespace.map(str::to_owned),
            labels: self.labels.clone(),
            targets: Vec::new(),
        };
        // Which object is for which of several targets only the cluster knows.
        let targets: Vec<&Vec<String>> = scopes()
            .map(|scope| &scope.targets)
            .filter(|targets| !targets.is_empty())
            .collect();
        let same_targets = targets.iter().all(|other| targets.first() == Some(other));
        let found = if is_chosen {
            let targets = targets
                .first()
                .map(|targets| (*targets).clone())
                .unwrap_or_default();
            Some(Scope { targets, ..chosen })
        } else {
            scopes()
                .find(|one| scopes().all(|scope| self.applies(scope, one)))
                .cloned()
        };
        match found {
            Some(found) if same_targets => Ok(found),
            _ => {
                let names: Vec<&str> = scoped
                    .iter()
                    .map(|(_, object)| object.place.as_str())
                    .collect();
                Err(CommandError::Usage(format!(
                    "the objects apply to different workloads; choose one with --namespace and --label, or import the objects of one: {}",
                    names.join("; ")
                )))
            }
        }
    }

    /// Whether an object of this scope applies to a workload.
    fn applies(&self, scope: &Scope, workload: &Scope) -> bool {
        let in_namespace = match (&scope.namespace, &workload.namespace) {
            (Some(namespace), Some(own)) => namespace == own || namespace == self.root_namespace,
            _ => true,
        };
        in_namespace
            && scope
                .labels
                .iter()
                .all(|(name, value)| workload.labels.get(name) == Some(value))
            && (scope.targets.is_empty() || scope.targets == workload.targets)
    }
}
