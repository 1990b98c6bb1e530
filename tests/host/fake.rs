//! The fake host: what a worker of Envoy keeps for one VM. One per thread, as the SDK's dispatcher is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Statuses of the ABI.
pub const OK: u32 = 0;
pub const NOT_FOUND: u32 = 1;
pub const BAD_ARGUMENT: u32 = 2;
pub const CAS_MISMATCH: u32 = 8;
pub const INTERNAL_FAILURE: u32 = 10;

/// Every status but Ok that a host may answer with.
pub const FAILURES: [u32; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/// A host call that the filter makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Log,
    Clock,
    TickPeriod,
    Buffer,
    HeaderPairs,
    RemoveHeader,
    ReplaceHeader,
    GetProperty,
    SetProperty,
    GetShared,
    SetShared,
    ContinueStream,
    SendReply,
    Http,
    EffectiveContext,
    ForeignFunction,
    DefineMetric,
    IncrementMetric,
    RecordMetric,
}

impl Call {
    pub const ALL: [Self; 19] = [
        Self::Log,
        Self::Clock,
        Self::TickPeriod,
        Self::Buffer,
        Self::HeaderPairs,
        Self::RemoveHeader,
        Self::ReplaceHeader,
        Self::GetProperty,
        Self::SetProperty,
        Self::GetShared,
        Self::SetShared,
        Self::ContinueStream,
        Self::SendReply,
        Self::Http,
        Self::EffectiveContext,
        Self::ForeignFunction,
        Self::DefineMetric,
        Self::IncrementMetric,
        Self::RecordMetric,
    ];
}

/// Which calls fail, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub call: Call,
    pub status: u32,
    /// Only the call with that number, counted from 0; `None`: all of them.
    pub only: Option<usize>,
}

/// A local response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u32,
    pub details: String,
    pub headers: Pairs,
    pub body: String,
    pub grpc: i32,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<String> {
        value(&self.headers, name)
    }
}

/// One HTTP stream.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// There during the request phase only.
    pub request: Option<Pairs>,
    pub trailers: Option<Pairs>,
    /// There during the response phase only.
    pub response: Option<Pairs>,
    pub replies: Vec<Reply>,
    /// Resumed after a pause.
    pub continued: bool,
    pub filter_state: BTreeMap<String, String>,
}

/// A call to another server.
#[derive(Debug, Clone)]
pub struct HttpCall {
    pub token: u32,
    pub cluster: String,
    pub headers: Pairs,
    pub timeout: u32,
}

/// Values that all workers share, each with its version.
pub type SharedData = Arc<Mutex<BTreeMap<Vec<u8>, (Vec<u8>, u32)>>>;

#[derive(Default)]
pub struct Host {
    /// Nanoseconds since 1970.
    pub now: u64,
    pub effective: u32,
    pub streams: BTreeMap<u32, Stream>,
    pub plugin_config: Vec<u8>,
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub shared: SharedData,
    pub log: Vec<(u32, String)>,
    pub tick_period: u32,
    pub calls: Vec<HttpCall>,
    /// Clusters that Envoy knows.
    pub clusters: Vec<String>,
    pub call_headers: Option<Pairs>,
    pub call_body: Option<Vec<u8>>,
    pub metrics: Vec<(String, i128)>,
    /// What `verify_signature` returns for every signature; `None`: the host has no such function.
    pub signatures: Option<Vec<u8>>,
    pub fault: Option<Fault>,
    pub made: BTreeMap<Call, usize>,
    pub next_call: u32,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Looks at or changes this thread's host.
pub fn host<T>(act: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with(|host| act(&mut host.borrow_mut()))
}

impl Host {
    /// Whether this call fails now, and with what.
    pub fn fails(&mut self, call: Call) -> Option<u32> {
        let number = self.made.entry(call).or_default();
        let this = *number;
        *number += 1;
        let fault = self.fault?;
        let hit = fault.call == call && fault.only.is_none_or(|only| only == this);
        hit.then_some(fault.status)
    }

    /// The stream that calls are about.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.effective)
    }

    /// A header map, where it is there in this phase.
    pub fn map(&mut self, map: u32) -> Option<&mut Pairs> {
        match map {
            0 => self.stream()?.request.as_mut(),
            1 => self.stream()?.trailers.as_mut(),
            2 => self.stream()?.response.as_mut(),
            6 => self.call_headers.as_mut(),
            _ => None,
        }
    }

    pub fn dispatch(&mut self, cluster: String, headers: Pairs, timeout: u32) -> Option<u32> {
        if !self.clusters.contains(&cluster) {
            return None;
        }
        self.next_call += 1;
        let token = self.next_call;
        self.calls.push(HttpCall {
            token,
            cluster,
            headers,
            timeout,
        });
        Some(token)
    }

    /// Everything that was logged, a line each.
    pub fn log_text(&self) -> String {
        let lines: Vec<&str> = self.log.iter().map(|(_, line)| line.as_str()).collect();
        lines.join("\n")
    }

    /// The metric whose packed name is this.
    pub fn metric(&self, name: &str) -> Option<i128> {
        let found = self.metrics.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| *value)
    }
}

/// All values of a header, in order.
pub fn values(pairs: &Pairs, name: &str) -> Vec<Vec<u8>> {
    let named = pairs
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| value.clone()).collect()
}

/// The value of a header that must not be repeated.
#[track_caller]
pub fn value(pairs: &Pairs, name: &str) -> Option<String> {
    let mut all = values(pairs, name);
    assert!(all.len() <= 1, "{name} is repeated: {all:?}");
    all.pop()
        .map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// The ABI's form of a header map.
pub fn to_wire(pairs: &Pairs) -> Vec<u8> {
    let size = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    let mut bytes = size(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend(size(name.len()));
        bytes.extend(size(value.len()));
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(part);
        bytes.push(0);
    }
    bytes
}

/// Reads the ABI's form of a header map; a filter that writes it wrongly fails here.
pub fn from_wire(bytes: &[u8]) -> Pairs {
    if bytes.is_empty() {
        return Pairs::new();
    }
    let number = |at: usize| {
        let chunk = bytes[at..at + 4].try_into().unwrap();
        usize::try_from(u32::from_le_bytes(chunk)).unwrap()
    };
    let count = number(0);
    let mut at = 4 + 8 * count;
    let mut take = |length: usize| {
        let part = bytes[at..at + length].to_vec();
        assert_eq!(bytes[at + length], 0);
        at += length + 1;
        part
    };
    (0..count)
        .map(|index| {
            let name = take(number(4 + 8 * index));
            (name, take(number(8 + 8 * index)))
        })
        .collect()
}
