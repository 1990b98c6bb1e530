//! A fake host in memory.

mod calls;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::worker::host::{CallId, HeaderMap, HostError, MetricId, PeerCertificate, StreamId};

/// 2026-01-01T00:00:00Z, in seconds since 1970: the time at which each host starts.
pub(super) const NOW: u64 = 1_767_225_600;

/// Names and values of headers, in order.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A handle to one worker's host.
#[derive(Clone)]
pub(super) struct FakeHost {
    state: Rc<RefCell<State>>,
    process: Rc<RefCell<Process>>,
}

/// The state of one worker's host.
pub(super) struct State {
    pub(super) now_ms: u64,
    /// Whether random bytes are available.
    pub(super) random: bool,
    pub(super) tick_period: u32,
    pub(super) streams: BTreeMap<StreamId, FakeStream>,
    pub(super) current: Option<StreamId>,
    /// The calls in progress.
    pub(super) calls: Vec<FakeCall>,
    /// Status and body of the finished call.
    pub(super) response: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) signatures: Signatures,
    pub(super) fault: Option<Fault>,
    /// How many of the next compare-and-swaps fail.
    pub(super) lost_races: usize,
    /// The number of calls of each kind so far.
    pub(super) made: BTreeMap<Call, usize>,
    random_state: u8,
    next_call: u32,
}

/// The state that all workers of a process share.
#[derive(Default)]
pub(super) struct Process {
    pub(super) shared: BTreeMap<String, (Vec<u8>, u32)>,
    pub(super) metrics: Vec<(String, i128)>,
    pub(super) clusters: Vec<String>,
}

/// One HTTP stream.
#[derive(Debug, Clone)]
pub(super) struct FakeStream {
    pub(super) request: Option<Pairs>,
    pub(super) trailers: Option<Pairs>,
    pub(super) replies: Vec<FakeReply>,
    /// Whether the request was continued.
    pub(super) continued: bool,
    pub(super) log_fields: BTreeMap<&'static str, String>,
    pub(super) peer: PeerCertificate,
}

/// A local reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FakeReply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) details: String,
}

/// An HTTP call in progress.
#[derive(Debug, Clone)]
pub(super) struct FakeCall {
    pub(super) id: CallId,
    pub(super) cluster: String,
    /// Scheme, authority and path.
    pub(super) url: [String; 3],
    pub(super) timeout_ms: u64,
}

/// How the host verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// Not supported.
    Unsupported,
    /// Correctly.
    Correct,
    /// The result for every signature.
    Always(bool),
}

/// The methods of [`Host`], and the verification of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Clock,
    Random,
    TickPeriod,
    Headers,
    Edit,
    Reply,
    LogField,
    PeerCertificate,
    SelectStream,
    ContinueRequest,
    Http,
    HttpResponse,
    GetShared,
    SetShared,
    DefineMetric,
    AddToMetric,
    RecordMetric,
    Verify,
}

impl Call {
    pub(super) const ALL: [Self; 18] = [
        Self::Clock,
        Self::Random,
        Self::TickPeriod,
        Self::Headers,
        Self::Edit,
        Self::Reply,
        Self::LogField,
        Self::PeerCertificate,
        Self::SelectStream,
        Self::ContinueRequest,
        Self::Http,
        Self::HttpResponse,
        Self::GetShared,
        Self::SetShared,
        Self::DefineMetric,
        Self::AddToMetric,
        Self::RecordMetric,
        Self::Verify,
    ];
}

/// A call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) call: Call,
    /// Only the call with this number, counted from 0; `None` for all calls.
    pub(super) only: Option<usize>,
}

const FAILED: HostError = HostError(10);

impl FakeHost {
    /// A process with one worker.
    pub(super) fn new() -> Self {
        Self {
            state: Rc::new(RefCell::new(State::new(NOW * 1_000))),
            process: Rc::default(),
        }
    }

    /// Another worker of the same process.
    pub(super) fn another_worker(&self) -> Self {
        Self {
            state: Rc::new(RefCell::new(State::new(self.state().now_ms))),
            process: Rc::clone(&self.process),
        }
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    pub(super) fn process(&self) -> RefMut<'_, Process> {
        self.process.borrow_mut()
    }

    /// Makes a kind of call fail from now on.
    pub(super) fn break_call(&self, call: Call) {
        self.state().fault = Some(Fault { call, only: None });
    }

    /// All calls work again.
    pub(super) fn repair(&self) {
        self.state().fault = None;
    }

    /// The value of a metric by its packed name; `None` if it is not defined.
    pub(super) fn metric(&self, name: &str) -> Option<i128> {
        let process = self.process();
        let found = process.metrics.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| *value)
    }

    /// Counts a call and returns whether it must fail.
    fn fails(&self, call: Call) -> bool {
        let mut state = self.state();
        let made = state.made.entry(call).or_default();
        let number = *made;
        *made += 1;
        state
            .fault
            .is_some_and(|fault| fault.call == call && fault.only.is_none_or(|only| only == number))
    }

    fn attempt(&self, call: Call) -> Result<(), HostError> {
        if self.fails(call) {
            Err(FAILED)
        } else {
            Ok(())
        }
    }

    fn with_stream<T>(&self, act: impl FnOnce(&mut FakeStream) -> T) -> Result<T, HostError> {
        let mut state = self.state();
        let current = state.current.ok_or(FAILED)?;
        state.streams.get_mut(&current).map(act).ok_or(FAILED)
    }

    fn with_metric(&self, id: MetricId, act: impl FnOnce(&mut i128)) -> Result<(), HostError> {
        let mut process = self.process();
        let metric = process.metrics.get_mut(usize::try_from(id.0).unwrap());
        metric.map(|(_, value)| act(value)).ok_or(FAILED)
    }
}

impl State {
    fn new(now_ms: u64) -> Self {
        Self {
            now_ms,
            random: true,
            tick_period: 0,
            streams: BTreeMap::new(),
            current: None,
            calls: Vec::new(),
            response: None,
            signatures: Signatures::Unsupported,
            fault: None,
            lost_races: 0,
            made: BTreeMap::new(),
            random_state: 0,
            next_call: 0,
        }
    }
}

impl FakeStream {
    pub(super) fn new(request: Pairs) -> Self {
        Self {
            request: Some(request),
            trailers: None,
            replies: Vec::new(),
            continued: false,
            log_fields: BTreeMap::new(),
            peer: PeerCertificate::Absent,
        }
    }

    fn map(&mut self, map: HeaderMap) -> Option<&mut Pairs> {
        match map {
            HeaderMap::Request => self.request.as_mut(),
            HeaderMap::RequestTrailers => self.trailers.as_mut(),
            HeaderMap::Response => None,
        }
    }
}
