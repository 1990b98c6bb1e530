//! The claims of a new token, in the order in which they are added.

use smol_str::SmolStr;

use crate::claims::ClaimPath;
use crate::json::{Json, Object};

/// A claims set that is being built.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ClaimSet(Vec<(SmolStr, Json)>);

impl ClaimSet {
    /// The top-level claim of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        let mut members = self.0.iter();
        members.find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether there is a claim at the path.
    pub(super) fn has(&self, path: &ClaimPath) -> bool {
        let Some((first, rest)) = path.names().split_first() else {
            return false;
        };
        let mut value = self.get(first);
        for name in rest {
            value = value.and_then(|value| value.as_object()?.get(name));
        }
        value.is_some()
    }

    /// Sets a top-level claim.
    pub(super) fn set(&mut self, name: &str, value: Json) {
        set(&mut self.0, name, value);
    }

    /// Removes a top-level claim.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Sets the claim at a path, and makes the objects on the way.
    ///
    /// # Errors
    /// The name of a claim on the way that is no object.
    pub(super) fn set_at(&mut self, path: &ClaimPath, value: Json) -> Result<(), String> {
        set_at(&mut self.0, path.names(), value)
    }

    /// The claims as an object.
    pub(super) fn into_json(self) -> Json {
        Json::Object(self.0.into_iter().collect())
    }
}

impl From<&Object> for ClaimSet {
    fn from(object: &Object) -> Self {
        Self(members(object))
    }
}

fn members(object: &Object) -> Vec<(SmolStr, Json)> {
    let members = object.iter();
    members
        .map(|(name, value)| (name.into(), value.clone()))
        .collect()
}

fn set(members: &mut Vec<(SmolStr, Json)>, name: &str, value: Json) {
    match members.iter_mut().find(|(key, _)| key == name) {
        Some((_, old)) => *old = value,
        None => members.push((name.into(), value)),
    }
}

fn set_at(claims: &mut Vec<(SmolStr, Json)>, names: &[String], value: Json) -> Result<(), String> {
    let Some((first, rest)) = names.split_first() else {
        return Ok(());
    };
    if rest.is_empty() {
        set(claims, first, value);
        return Ok(());
    }
    let known = claims.iter().find(|(key, _)| key == first);
    let mut inner = match known.map(|(_, value)| value) {
        Some(Json::Object(object)) => members(object),
        Some(_) => return Err(first.clone()),
        None => Vec::new(),
    };
    set_at(&mut inner, rest, value)?;
    set(claims, first, Json::Object(inner.into_iter().collect()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::keys::json::{compact, string};

    #[test]
    fn nested_claims_keep_their_neighbours() {
        let json = Json::parse(br#"{"a":{"b":1,"c":{"d":2}},"e":3}"#).unwrap();
        let mut claims = ClaimSet::from(json.as_object().unwrap());
        let path = |names: &[&str]| {
            ClaimPath::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap()
        };
        claims
            .set_at(&path(&["a", "c", "x"]), string("new"))
            .unwrap();
        claims.set_at(&path(&["n", "m"]), Json::Integer(4)).unwrap();
        claims.set_at(&path(&["e"]), Json::Integer(5)).unwrap();
        assert_eq!(
            claims.set_at(&path(&["a", "b", "c"]), Json::Null),
            Err("b".to_owned())
        );
        assert!(claims.has(&path(&["n", "m"])) && !claims.has(&path(&["e", "m"])));
        claims.remove("e");
        let expected = r#"{"a":{"b":1,"c":{"d":2,"x":"new"}},"n":{"m":4}}"#;
        assert_eq!(compact(&claims.into_json()), expected);
    }
}
