//! Translates JSON Schema to CEL, the expression language of Kubernetes' admission policies.

use serde_json::{Map, Value};

/// A condition in CEL.
#[derive(Debug, Clone)]
struct Condition {
    /// The expression; `true` if CEL cannot express anything of the schema.
    text: String,
    /// Whether it says all that the schema says. Only such a condition can be negated.
    exact: bool,
}

/// Translates the schemas that may refer to some definitions.
#[derive(Debug)]
pub(super) struct Translator<'s> {
    definitions: &'s Map<String, Value>,
    /// The definitions that are being followed.
    path: Vec<&'s str>,
    /// How many macros are open: each needs a variable of its own.
    depth: usize,
}

impl Condition {
    fn exact(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            exact: true,
        }
    }

    /// A schema of which CEL says nothing.
    fn unknown() -> Self {
        Self {
            text: "true".to_owned(),
            exact: false,
        }
    }
}

impl<'s> Translator<'s> {
    pub(super) fn new(definitions: &'s Map<String, Value>) -> Self {
        Self {
            definitions,
            path: Vec::new(),
            depth: 0,
        }
    }

    /// The expression that is true for each value that the schema accepts. It may be true for others, too: a
    /// definition within itself is not followed, and `uniqueItems` is left out.
    pub(super) fn translate(&mut self, schema: &'s Value, value: &str) -> String {
        self.condition(schema, value).text
    }

    fn condition(&mut self, schema: &'s Value, value: &str) -> Condition {
        match schema {
            Value::Bool(accepts) => Condition::exact(accepts.to_string()),
            Value::Object(schema) => self.keywords(schema, value),
            _ => Condition::unknown(),
        }
    }

    fn keywords(&mut self, schema: &'s Map<String, Value>, value: &str) -> Condition {
        let mut all = Vec::new();
        let types = schema.get("type").map(types).unwrap_or_default();
        if !types.is_empty() {
            all.push(Condition::exact(is_one_of(value, &types)));
        }
        for (keyword, of) in schema {
            let (guard, condition) = match keyword.as_str() {
                "$ref" => (None, self.reference(of, value)),
                "const" => (None, literal_is(value, of)),
                "enum" => (None, literal_in(value, of)),
                "allOf" => (None, all_of(self.each(of, value))),
                // Of several alternatives one must hold; that no second one does is not said.
                "anyOf" => (None, any(self.each(of, value))),
                "oneOf" => (
                    None,
                    Condition {
                        exact: false,
                        ..any(self.each(of, value))
                    },
                ),
                "not" => (None, not(&self.condition(of, value))),
                "if" => (None, self.conditional(of, schema, value)),
                "pattern" => (Some("string"), pattern(value, of)),
                "minLength" => (Some("string"), size(value, ">=", of)),
                "maxLength" => (Some("string"), size(value, "<=", of)),
                "minimum" => (Some("number"), bound(value, ">=", of)),
                "maximum" => (Some("number"), bound(value, "<=", of)),
                "minItems" => (Some("array"), size(value, ">=", of)),
                "maxItems" => (Some("array"), size(value, "<=", of)),
                "minProperties" => (Some("object"), size(value, ">=", of)),
                "maxProperties" => (Some("object"), size(value, "<=", of)),
                "items" => (Some("array"), self.elements(of, value, "all")),
                "contains" => (Some("array"), self.elements(of, value, "exists")),
                "required" => (Some("object"), required(value, of)),
                "properties" => (Some("object"), self.properties(of, value)),
                "additionalProperties" => (
                    Some("object"),
                    self.additional(of, schema.get("properties"), value),
                ),
                "propertyNames" => (Some("object"), self.names(of, value)),
                "uniqueItems" => (None, Condition::unknown()),
                // Annotations.
                _ => continue,
            };
            all.push(match guard {
                // The keyword is only about one type.
                Some(of_type)
                    if types != [of_type] && !(of_type == "number" && types == ["integer"]) =>
                {
                    Condition {
                        text: format!("(!{} || {})", is_one_of(value, &[of_type]), condition.text),
                        ..condition
                    }
                }
                _ => condition,
            });
        }
        all_of(all)
    }

    fn each(&mut self, schemas: &'s Value, value: &str) -> Vec<Condition> {
        let schemas = schemas.as_array().into_iter().flatten();
        schemas
            .map(|schema| self.condition(schema, value))
            .collect()
    }

    fn reference(&mut self, of: &'s Value, value: &str) -> Condition {
        let name = of.as_str().and_then(|of| of.strip_prefix("#/$defs/"));
        let Some((name, schema)) = name.and_then(|name| Some((name, self.definitions.get(name)?)))
        else {
            return Condition::unknown();
        };
        if self.path.contains(&name) {
            return Condition::unknown();
        }
        self.path.push(name);
        let condition = self.condition(schema, value);
        self.path.pop();
        condition
    }

    fn conditional(
        &mut self,
        of: &'s Value,
        schema: &'s Map<String, Value>,
        value: &str,
    ) -> Condition {
        let condition = self.condition(of, value);
        if !condition.exact {
            return Condition::unknown();
        }
        let mut branch = |keyword| match schema.get(keyword) {
            Some(schema) => self.condition(schema, value),
            None => Condition::exact("true"),
        };
        let (then, otherwise) = (branch("then"), branch("else"));
        Condition {
            exact: then.exact && otherwise.exact,
            text: format!("({} ? {} : {})", condition.text, then.text, otherwise.text),
        }
    }

    /// A macro over the elements of a list or the keys of a map.
    fn each_element(
        &mut self,
        value: &str,
        name: &str,
        condition: impl FnOnce(&mut Self, &str) -> Condition,
    ) -> Condition {
        let element = format!("v{}", self.depth);
        self.depth = self.depth.saturating_add(1);
        let condition = condition(self, &element);
        self.depth = self.depth.saturating_sub(1);
        match condition.text.as_str() {
            "true" => condition,
            text => Condition {
                text: format!("{value}.{name}({element}, {text})"),
                exact: condition.exact,
            },
        }
    }

    fn elements(&mut self, of: &'s Value, value: &str, name: &str) -> Condition {
        self.each_element(value, name, |this, element| this.condition(of, element))
    }

    fn names(&mut self, of: &'s Value, value: &str) -> Condition {
        self.each_element(value, "all", |this, name| this.condition(of, name))
    }

    fn properties(&mut self, of: &'s Value, value: &str) -> Condition {
        let mut all = Vec::new();
        for (name, schema) in of.as_object().into_iter().flatten() {
            let key = literal(name);
            let condition = self.condition(schema, &format!("{value}[{key}]"));
            if condition.text == "true" {
                all.push(condition);
                continue;
            }
            all.push(Condition {
                text: format!("(!({key} in {value}) || {})", condition.text),
                exact: condition.exact,
            });
        }
        all_of(all)
    }

    fn additional(&mut self, of: &'s Value, known: Option<&'s Value>, value: &str) -> Condition {
        let known = known.and_then(Value::as_object).into_iter().flatten();
        let known: Vec<String> = known.map(|(name, _)| literal(name)).collect();
        self.each_element(value, "all", |this, name| {
            let condition = this.condition(of, &format!("{value}[{name}]"));
            if known.is_empty() || condition.text == "true" {
                return condition;
            }
            any([
                Condition::exact(format!("{name} in [{}]", known.join(", "))),
                condition,
            ])
        })
    }
}

/// The names in `type`.
fn types(of: &Value) -> Vec<&str> {
    match of {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_one_of(value: &str, types: &[&str]) -> String {
    let names = types.iter().flat_map(|of| -> &[&str] {
        match *of {
            "string" => &["string"],
            "boolean" => &["bool"],
            // Kubernetes reads 1.0 as a double.
            "integer" | "number" => &["int", "double"],
            "array" => &["list"],
            "object" => &["map"],
            _ => &["null_type"],
        }
    });
    let tests: Vec<String> = names
        .map(|name| format!("type({value}) == {name}"))
        .collect();
    format!("({})", tests.join(" || "))
}

fn all_of(conditions: impl IntoIterator<Item = Condition>) -> Condition {
    join(conditions, " && ", "true")
}

fn any(conditions: impl IntoIterator<Item = Condition>) -> Condition {
    let conditions: Vec<Condition> = conditions.into_iter().collect();
    match conditions.iter().find(|condition| condition.text == "true") {
        Some(always) => always.clone(),
        None => join(conditions, " || ", "false"),
    }
}

fn join(
    conditions: impl IntoIterator<Item = Condition>,
    operator: &str,
    neutral: &str,
) -> Condition {
    let mut exact = true;
    let mut texts = Vec::new();
    for condition in conditions {
        exact &= condition.exact;
        if condition.text != neutral {
            texts.push(condition.text);
        }
    }
    let text = match texts.as_slice() {
        [] => neutral.to_owned(),
        [one] => one.clone(),
        several => format!("({})", several.join(operator)),
    };
    Condition { text, exact }
}

fn not(condition: &Condition) -> Condition {
    if condition.exact {
        Condition::exact(format!("!({})", condition.text))
    } else {
        Condition::unknown()
    }
}

/// A string of CEL.
fn literal(text: &str) -> String {
    // A JSON string is one of CEL, too.
    Value::from(text).to_string()
}

fn literal_is(value: &str, of: &Value) -> Condition {
    match of {
        Value::Array(_) | Value::Object(_) => Condition::unknown(),
        scalar => Condition::exact(format!("{value} == {scalar}")),
    }
}

fn literal_in(value: &str, of: &Value) -> Condition {
    match of.as_array() {
        Some(all) if all.iter().all(Value::is_string) => {
            Condition::exact(format!("{value} in {of}"))
        }
        all => any(all.into_iter().flatten().map(|of| literal_is(value, of))),
    }
}

fn pattern(value: &str, of: &Value) -> Condition {
    let pattern = of.as_str().map(literal).unwrap_or_default();
    Condition::exact(format!("{value}.matches({pattern})"))
}

fn size(value: &str, operator: &str, of: &Value) -> Condition {
    Condition::exact(format!("size({value}) {operator} {of}"))
}

fn bound(value: &str, operator: &str, of: &Value) -> Condition {
    Condition::exact(format!("{value} {operator} {of}"))
}

fn required(value: &str, of: &Value) -> Condition {
    let names = of
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    all_of(names.map(|name| Condition::exact(format!("{} in {value}", literal(name)))))
}
