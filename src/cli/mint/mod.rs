//! `edge-claims mint`: signs tokens for development and tests.

mod claims;
mod options;
pub(super) mod policy;
pub(super) mod target;
mod warnings;

use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) use options::Options;

use self::claims::ClaimSet;
use super::keys::file::{self, content};
use super::keys::generate::random;
use super::keys::json::{compact, object, optional, string, strings};
use super::keys::private::PrivateKey;
use super::{Answer, CommandError};
use crate::claims::ClaimPath;
use crate::config::Config;
use crate::json::Json;
use crate::policy::roles::RoleFormat;
use crate::token::{Algorithm, Issuer, base64url};

/// The lifetime if nothing else is asked for, in seconds.
const TTL: u64 = 300;

/// Prints a token.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let claims_file = options
        .claims
        .as_deref()
        .and_then(|claims| claims.strip_prefix('@'));
    let claims_file = claims_file.map(PathBuf::from);
    let files = [
        Some(&options.key),
        options.config.as_ref(),
        claims_file.as_ref(),
    ];
    file::check_stdin_once(files.into_iter().flatten())?;

    let key_file = file::read(&options.key)?;
    let key = PrivateKey::parse(&key_file.text)
        .map_err(|error| content(&key_file.name, error.to_string()))?;
    key_file.warn_if_readable_by_others();
    let select = options.select.as_deref();
    let config = options
        .config
        .as_deref()
        .map(|path| policy::load(path, select))
        .transpose()?;
    let config = config.as_ref();
    let start = start(options.claims.as_deref(), claims_file.as_deref())?;
    let named = options.issuer.as_deref();
    let named = named.or_else(|| start.get("iss").and_then(Json::as_str));
    let issuer = config
        .map(|config| policy::choose(config, named))
        .transpose()?;

    let algorithm = algorithm(options, &key, issuer)?;
    let header = header(options, &key, algorithm, issuer);
    let claims = claims(options, start, config, issuer)?;
    let encode = |json: &Json| base64url::encode(compact(json).as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key
        .sign(algorithm, input.as_bytes())
        .ok_or_else(|| content(&key_file.name, format!("cannot sign with {algorithm}")))?;
    let token = format!("{input}.{}", base64url::encode(&signature));
    if let (Some(config), Some(issuer)) = (config, issuer) {
        warnings::print(&token, &key, config, issuer, options);
    }
    writeln!(output, "{token}")?;
    Ok(Answer::Yes)
}

/// The claims of `--claims`.
fn start(claims: Option<&str>, path: Option<&Path>) -> Result<ClaimSet, CommandError> {
    let (name, text) = match (claims, path) {
        (_, Some(path)) => {
            let file = file::read(path)?;
            (file.name, file.text)
        }
        (Some(text), None) => ("--claims".to_owned(), text.to_owned()),
        (None, None) => return Ok(ClaimSet::default()),
    };
    let json = Json::parse_strict(text.as_bytes())
        .map_err(|error| content(&name, format!("not JSON: {error}")))?;
    match &json {
        Json::Object(claims) => Ok(ClaimSet::from(claims)),
        other => {
            let problem = format!("is {}, must be an object of claims", other.type_name());
            Err(content(&name, problem))
        }
    }
}

fn algorithm(
    options: &Options,
    key: &PrivateKey,
    issuer: Option<&Issuer>,
) -> Result<Algorithm, CommandError> {
    let fits = key.algorithms();
    if let Some(chosen) = options.alg {
        let names: Vec<&str> = fits.iter().map(|one| one.name()).collect();
        return fits.contains(&chosen).then_some(chosen).ok_or_else(|| {
            let problem = format!("--alg {chosen}: the key is for {}", names.join(", "));
            CommandError::Usage(problem)
        });
    }
    let allowed = issuer.map_or(&[][..], |issuer| &issuer.algorithms);
    let both = allowed.iter().find(|one| fits.contains(one));
    both.or_else(|| fits.first())
        .copied()
        .ok_or_else(|| content(&file::name_of(&options.key), "fits no algorithm"))
}

fn header(
    options: &Options,
    key: &PrivateKey,
    algorithm: Algorithm,
    issuer: Option<&Issuer>,
) -> Json {
    let configured = issuer.and_then(|issuer| issuer.token_type.as_deref());
    let typ = options.token_type.as_deref().or(configured);
    let members = [
        ("alg", string(algorithm.name())),
        ("typ", string(typ.unwrap_or("JWT"))),
        ("kid", optional(key.kid())),
    ];
    object(
        members
            .into_iter()
            .filter(|(_, value)| *value != Json::Null),
    )
}

fn claims(
    options: &Options,
    mut claims: ClaimSet,
    config: Option<&Config>,
    issuer: Option<&Issuer>,
) -> Result<Json, CommandError> {
    registered(options, &mut claims, issuer);
    if let (Some(config), Some(issuer)) = (config, issuer) {
        let one_use = issuer.one_use.as_ref().map(|one_use| &one_use.claim);
        for path in [one_use, config.correlation.claim.as_ref()]
            .into_iter()
            .flatten()
        {
            if !claims.has(path) {
                let id = new_id().ok_or_else(|| {
                    CommandError::Usage("the operating system has no random bytes".to_owned())
                })?;
                set_at(&mut claims, path, string(id))?;
            }
        }
        if let Some(target) = &options.target {
            let bind = &issuer.bind;
            for (path, value) in [
                (&bind.method, target.method.as_str()),
                (&bind.path, target.path_only()),
                (&bind.path_and_query, &target.path),
                (&bind.host, &target.host),
            ] {
                if let Some(path) = path {
                    set_at(&mut claims, path, string(value))?;
                }
            }
        }
    }
    if !options.role.is_empty() {
        roles(&options.role, &mut claims, config)?;
    }
    if claims.get("iss").is_none() {
        return Err(CommandError::Usage(
            "the token has no issuer: give --issuer, --config or `iss` in --claims".to_owned(),
        ));
    }
    for (name, value) in &options.claim {
        match value {
            Json::Null => claims.remove(name),
            value => claims.set(name, value.clone()),
        }
    }
    Ok(claims.into_json())
}

/// The registered claims (RFC 7519 §4.1).
fn registered(options: &Options, claims: &mut ClaimSet, issuer: Option<&Issuer>) {
    let name = options.issuer.as_deref();
    if let Some(name) = name.or(issuer.map(|issuer| issuer.name.as_str())) {
        claims.set("iss", string(name));
    }
    if let Some(subject) = &options.subject {
        claims.set("sub", string(subject));
    }
    let configured = issuer.and_then(|issuer| issuer.audiences.as_ref()?.first());
    match options.audience.as_slice() {
        [] => {
            if let (Some(audience), None) = (configured, claims.get("aud")) {
                claims.set("aud", string(audience));
            }
        }
        [one] => claims.set("aud", string(one)),
        several => claims.set("aud", strings(several)),
    }
    let now = options.now();
    let time = |seconds: u64| Json::Integer(i64::try_from(seconds).unwrap_or(i64::MAX));
    if options.now.is_some() || claims.get("iat").is_none() {
        claims.set("iat", time(now));
    }
    if options.ttl.is_some() || claims.get("exp").is_none() {
        let longest = issuer.and_then(|issuer| issuer.max_lifetime);
        let default = longest.map_or(TTL, |longest| longest.min(TTL));
        let exp = now.saturating_add(options.ttl.unwrap_or(default));
        claims.set("exp", time(exp));
    }
}

fn roles(
    roles: &[String],
    claims: &mut ClaimSet,
    config: Option<&Config>,
) -> Result<(), CommandError> {
    let source = match config.map(|config| config.rbac.roles.source()) {
        None => None,
        Some(Some(source)) => Some(source),
        Some(None) => {
            let problem = "--role: the config names no claim for roles (rbac.roles)";
            return Err(CommandError::Usage(problem.to_owned()));
        }
    };
    let format = source.map_or(RoleFormat::List, |source| source.format);
    let separator = match format {
        RoleFormat::List => None,
        RoleFormat::Space => Some(" "),
        RoleFormat::Comma => Some(","),
    };
    let value = match separator {
        None => strings(roles),
        Some(separator) => {
            if roles.iter().any(|role| role.contains(separator)) {
                let problem =
                    "--role: the config splits roles there; give each role its own --role";
                return Err(CommandError::Usage(problem.to_owned()));
            }
            string(roles.join(separator))
        }
    };
    let default = ClaimPath::from("roles");
    set_at(
        claims,
        source.map_or(&default, |source| &source.claim),
        value,
    )
}

fn set_at(claims: &mut ClaimSet, path: &ClaimPath, value: Json) -> Result<(), CommandError> {
    claims.set_at(path, value).map_err(|name| {
        CommandError::Usage(format!(
            "the claim {path} cannot be set: {name:?} is not an object in the claims given"
        ))
    })
}

/// A random UUID (RFC 9562 §5.4).
fn new_id() -> Option<String> {
    Some(
        uuid::Builder::from_random_bytes(random()?)
            .into_uuid()
            .to_string(),
    )
}
