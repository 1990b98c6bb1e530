//! Hash maps whose keys all come from the config.
//!
//! The hash has a fixed seed: a request chooses only what is looked up, never what is stored, so it
//! cannot cause collisions. And a load is the same in every worker.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

/// How names of the config are hashed.
pub(crate) type ConfigState = FixedState;

/// A set of keys from the config.
pub(crate) type ConfigSet<K> = HashSet<K, ConfigState>;

/// A map with keys from the config.
pub(crate) type ConfigMap<K, V> = HashMap<K, V, ConfigState>;
