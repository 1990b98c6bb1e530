//! Hash maps whose keys come only from the config.
//!
//! A fixed seed is safe: requests only look keys up, so they cannot cause collisions. It also makes loading
//! deterministic on all workers.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

pub(crate) type ConfigState = FixedState;

pub(crate) type ConfigSet<K> = HashSet<K, ConfigState>;

pub(crate) type ConfigMap<K, V> = HashMap<K, V, ConfigState>;
