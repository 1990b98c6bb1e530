//! Roles: how claims contain them, which roles include others, and which roles a route requires.

use crate::claims::{ClaimPath, Claims};
use crate::json::Json;
#[cfg(feature = "cli")]
use crate::json::Object;

use super::hash::ConfigMap;

/// The format of roles in a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RoleFormat {
    /// A list of strings; one string is one role.
    #[default]
    List,
    /// One string, split at spaces.
    Space,
    /// One string, split at commas; spaces around a role are ignored.
    Comma,
}

/// The claim that contains the roles.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoleSource {
    /// The claim.
    pub claim: ClaimPath,
    /// Its format. A claim of another type, or a list with a member that is not a string, has no roles.
    pub format: RoleFormat,
}

/// A cycle: each role includes the next, and the last includes the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("roles include each other: {}; remove one of these", cycle(.0))]
pub struct RoleCycle(pub Vec<String>);

/// A role that a route requires, with its index in the [`RoleModel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredRole {
    name: Box<str>,
    id: u32,
}

/// Collects the roles that a config names.
#[derive(Debug)]
pub(crate) struct RoleModelBuilder {
    source: Option<RoleSource>,
    ids: ConfigMap<Box<str>, u32>,
    /// The roles that each role includes directly, by ID.
    includes: Vec<Vec<u32>>,
}

/// All roles that a config names, and where claims contain them.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleModel {
    source: Option<RoleSource>,
    ids: ConfigMap<Box<str>, u32>,
    includes: Box<[Box<[u32]>]>,
}

/// The roles of a claims set, with all that they include: a bit set that is valid only for the
/// [`RoleModel`] that made it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleSet(Box<[u32]>);

impl RoleModelBuilder {
    /// Creates a builder from the source of roles, and each role with those that it includes. Without a
    /// source, claims have no roles.
    pub(crate) fn new(source: Option<RoleSource>, includes: &[(String, Vec<String>)]) -> Self {
        let mut builder = Self {
            source,
            ids: ConfigMap::default(),
            includes: Vec::new(),
        };
        for (role, included) in includes {
            let role = builder.id(role);
            for name in included {
                let name = builder.id(name);
                if let Some(list) = builder.includes.get_mut(role as usize) {
                    list.push(name);
                }
            }
        }
        builder
    }

    /// Registers a role that a route requires.
    pub(crate) fn require(&mut self, name: &str) -> RequiredRole {
        RequiredRole {
            name: name.into(),
            id: self.id(name),
        }
    }

    /// Builds the model.
    ///
    /// # Errors
    /// A [`RoleCycle`]
    pub(crate) fn build(self) -> Result<RoleModel, RoleCycle> {
        if let Some(cycle) = find_cycle(&self.includes) {
            let mut names: ConfigMap<u32, &str> = ConfigMap::default();
            for (name, id) in &self.ids {
                names.insert(*id, name);
            }
            return Err(RoleCycle(
                cycle
                    .iter()
                    .filter_map(|id| names.get(id))
                    .map(|name| (*name).to_owned())
                    .collect(),
            ));
        }
        Ok(RoleModel {
            source: self.source,
            ids: self.ids,
            includes: self.includes.into_iter().map(Into::into).collect(),
        })
    }

    fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // More than 2^32 names would not fit into memory.
        let id = u32::try_from(self.includes.len()).unwrap_or(u32::MAX);
        self.ids.insert(name.into(), id);
        self.includes.push(Vec::new());
        id
    }
}

impl RoleModel {
    /// The roles in the claims, with all that they include. Roles that the config does not name are
    /// ignored, because no route requires them.
    pub fn roles_of(&self, claims: &Claims) -> RoleSet {
        self.set_of(self.names_in(claims))
    }

    /// These roles, with all that they include.
    pub(crate) fn set_of<'n>(&self, names: impl Iterator<Item = &'n str>) -> RoleSet {
        let mut set = vec![0_u32; self.includes.len().div_ceil(32)];
        let mut open: Vec<u32> = names
            .filter_map(|name| self.ids.get(name))
            .copied()
            .collect();
        while let Some(id) = open.pop() {
            let (word, bit) = bit_of(id);
            match set.get_mut(word) {
                Some(held) if *held & bit == 0 => *held |= bit,
                _ => continue,
            }
            if let Some(included) = self.includes.get(id as usize) {
                open.extend_from_slice(included);
            }
        }
        RoleSet(set.into())
    }

    /// Whether claims can contain the role, or one that includes it: with a separator in its name, it would be
    /// read as two.
    #[cfg(feature = "cli")]
    pub(crate) fn can_be_given(&self, role: &RequiredRole) -> bool {
        let format = self.source.as_ref().map(|source| source.format);
        let can_be_named = |name: &str| match format {
            None => false,
            Some(RoleFormat::List) => !name.is_empty(),
            Some(RoleFormat::Space) => !name.contains(' '),
            Some(RoleFormat::Comma) => !name.contains(',') && name.trim_matches(' ') == name,
        };
        let mut names = self.ids.keys().filter(|name| can_be_named(name));
        names.any(|name| self.set_of(std::iter::once(&**name)).has(role))
    }

    /// The names of the roles that are or include this one, in order.
    #[cfg(feature = "cli")]
    pub(crate) fn givers(&self, role: &RequiredRole) -> Vec<&str> {
        let gives = |name: &&str| self.set_of(std::iter::once(*name)).has(role);
        let mut names: Vec<&str> = self.ids.keys().map(|name| &**name).filter(gives).collect();
        names.sort_unstable();
        names
    }

    /// Whether a role is or includes another one.
    #[cfg(feature = "cli")]
    pub(crate) fn gives(&self, name: &str, other: &str) -> bool {
        let Some(id) = self.ids.get(other) else {
            return name == other;
        };
        let (word, bit) = bit_of(*id);
        let set = self.set_of(std::iter::once(name));
        set.0.get(word).is_some_and(|held| held & bit != 0)
    }

    /// Where claims contain the roles.
    #[cfg(feature = "cli")]
    pub(crate) fn source(&self) -> Option<&RoleSource> {
        self.source.as_ref()
    }

    /// All roles that the config names, in its order: those of `roles.includes`, then those of the routes.
    #[cfg(feature = "cli")]
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<(u32, &str)> =
            self.ids.iter().map(|(name, id)| (*id, &**name)).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// Claims with these roles alone. `None` if no claims can have them: there is no claim for roles, or its
    /// format would split a name.
    #[cfg(feature = "cli")]
    pub(crate) fn claims_with(&self, roles: &[&str]) -> Option<Claims> {
        let source = self.source.as_ref()?;
        let text = |text: &str| Json::String(text.into());
        let value = match source.format {
            RoleFormat::List => Json::Array(roles.iter().map(|role| text(role)).collect()),
            RoleFormat::Space => text(&roles.join(" ")),
            RoleFormat::Comma => text(&roles.join(",")),
        };
        let (outermost, inner) = source.claim.names().split_first()?;
        let value = inner.iter().rev().fold(value, |value, name| {
            Json::Object([(name.as_str().into(), value)].into_iter().collect())
        });
        let members: Object = [(outermost.as_str().into(), value)].into_iter().collect();
        let claims = Claims::from(members);
        let are_alone = self.names_in(&claims).eq(roles.iter().copied());
        are_alone.then_some(claims)
    }

    /// Whether this claim contains the roles.
    pub(crate) fn is_claim(&self, claim: &ClaimPath) -> bool {
        self.source.as_ref().is_some_and(|it| it.claim == *claim)
    }

    /// The names of the roles in the claims.
    pub fn names_in<'c>(&self, claims: &'c Claims) -> impl Iterator<Item = &'c str> + use<'c> {
        let source = self.source.as_ref();
        let value = source.and_then(|source| claims.at(&source.claim));
        let format = source.map_or(RoleFormat::List, |source| source.format);
        let (list, text): (&[Json], &str) = match (value, format) {
            (Some(Json::Array(items)), RoleFormat::List)
                if items.iter().all(|item| item.as_str().is_some()) =>
            {
                (items, "")
            }
            (Some(Json::String(text)), _) => (&[], text),
            _ => (&[], ""),
        };
        list.iter()
            .filter_map(Json::as_str)
            .chain(text.split(move |character| match format {
                RoleFormat::List => false,
                RoleFormat::Space => character == ' ',
                RoleFormat::Comma => character == ',',
            }))
            .map(move |name| match format {
                RoleFormat::Comma => name.trim_matches(' '),
                _ => name,
            })
            .filter(|name| !name.is_empty())
    }
}

impl RoleSet {
    /// Whether the set contains a role.
    pub fn has(&self, required: &RequiredRole) -> bool {
        let (word, bit) = bit_of(required.id);
        self.0.get(word).is_some_and(|held| held & bit != 0)
    }
}

impl RequiredRole {
    /// The role's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn cycle(names: &[String]) -> String {
    let mut text = names.join(" → ");
    if let Some(first) = names.first() {
        text.push_str(" → ");
        text.push_str(first);
    }
    text
}

/// The word and the bit of a role in a [`RoleSet`].
fn bit_of(id: u32) -> (usize, u32) {
    ((id >> 5) as usize, 1_u32.rotate_left(id & 31))
}

/// A depth-first search without recursion, because a long chain could overflow the stack.
fn find_cycle(includes: &[Vec<u32>]) -> Option<Vec<u32>> {
    let mut done = vec![false; includes.len()];
    let mut on_path = vec![false; includes.len()];
    for start in 0..includes.len() {
        let mut path: Vec<(u32, std::slice::Iter<'_, u32>)> = Vec::new();
        let mut next = u32::try_from(start).ok();
        loop {
            if let Some(id) = next.take() {
                if on_path.get(id as usize).copied().unwrap_or(false) {
                    let members = path.iter().map(|(member, _)| *member);
                    return Some(members.skip_while(|member| *member != id).collect());
                }
                if !done.get(id as usize).copied().unwrap_or(true) {
                    if let Some(mark) = on_path.get_mut(id as usize) {
                        *mark = true;
                    }
                    let included = includes
                        .get(id as usize)
                        .map_or([].iter(), |list| list.iter());
                    path.push((id, included));
                }
            }
            let Some((id, rest)) = path.last_mut() else {
                break;
            };
            match rest.next() {
                Some(included) => next = Some(*included),
                None => {
                    if let Some(mark) = done.get_mut(*id as usize) {
                        *mark = true;
                    }
                    if let Some(mark) = on_path.get_mut(*id as usize) {
                        *mark = false;
                    }
                    path.pop();
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
