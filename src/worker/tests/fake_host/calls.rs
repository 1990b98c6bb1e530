//! The calls of the fake host, which behave like Envoy.

use super::{Call, FAILED, FakeCall, FakeHost, FakeReply, Signatures};
use crate::headers::{Header, Headers};
use crate::policy::peer::PeerValidation;
use crate::record::AccessField;
use crate::reply::Reply;
use crate::token::{Algorithm, Portable, PublicKey, SignatureBackend};
use crate::worker::host::{
    CallError, CallId, HeaderMap, Host, HostError, HttpGet, MetricId, MetricKind, PeerCertificate,
    StreamId, Version,
};

impl Host for FakeHost {
    fn now_ms(&self) -> Option<u64> {
        self.attempt(Call::Clock).ok()?;
        Some(self.state().now_ms)
    }

    fn fill_random(&self, buffer: &mut [u8]) -> bool {
        if self.fails(Call::Random) || !self.state().random {
            return false;
        }
        let mut state = self.state();
        for byte in buffer {
            state.random_state = state.random_state.wrapping_mul(5).wrapping_add(1);
            *byte = state.random_state;
        }
        true
    }

    fn environment(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    fn set_tick_period(&self, milliseconds: u32) -> Result<(), HostError> {
        self.attempt(Call::TickPeriod)?;
        self.state().tick_period = milliseconds;
        Ok(())
    }

    fn with_headers<T>(
        &self,
        map: HeaderMap,
        read: impl FnOnce(&Headers<'_>) -> T,
    ) -> Result<T, HostError> {
        self.attempt(Call::Headers)?;
        let pairs = self
            .with_stream(|stream| stream.map(map).cloned())?
            .ok_or(FAILED)?;
        let list: Vec<Header<'_>> = pairs
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
            .collect();
        Ok(read(&Headers::new(&list)))
    }

    fn edit(&self, map: HeaderMap, name: &[u8], value: Option<&[u8]>) -> Result<(), HostError> {
        self.attempt(Call::Edit)?;
        self.with_stream(|stream| {
            let pairs = stream.map(map).ok_or(FAILED)?;
            let Some(value) = value else {
                pairs.retain(|(other, _)| other != name);
                return Ok(());
            };
            // Replaces the first instance and keeps the others.
            match pairs.iter_mut().find(|(other, _)| other == name) {
                Some(pair) => pair.1 = value.to_vec(),
                None => pairs.push((name.to_vec(), value.to_vec())),
            }
            Ok(())
        })?
    }

    fn reply(&self, reply: &Reply) -> Result<(), HostError> {
        self.attempt(Call::Reply)?;
        let reply = FakeReply {
            status: reply.status,
            headers: reply.headers.clone(),
            body: reply.body.clone(),
            details: reply.details.clone(),
        };
        self.with_stream(|stream| stream.replies.push(reply))
    }

    fn set_log_field(&self, field: AccessField, value: &str) -> Result<(), HostError> {
        self.attempt(Call::LogField)?;
        self.with_stream(|stream| {
            let name = field.filter_state();
            stream.log_fields.insert(name, value.to_owned());
        })
    }

    fn peer_certificate(&self, _validation: PeerValidation) -> PeerCertificate {
        if self.fails(Call::PeerCertificate) {
            return PeerCertificate::Absent;
        }
        let peer = self.with_stream(|stream| stream.peer.clone());
        peer.unwrap_or(PeerCertificate::Absent)
    }

    fn select_stream(&self, stream: StreamId) -> Result<(), HostError> {
        self.attempt(Call::SelectStream)?;
        let mut state = self.state();
        if !state.streams.contains_key(&stream) {
            return Err(FAILED);
        }
        state.current = Some(stream);
        Ok(())
    }

    fn continue_request(&self) -> Result<(), HostError> {
        self.attempt(Call::ContinueRequest)?;
        self.with_stream(|stream| stream.continued = true)
    }

    fn call(&self, request: &HttpGet<'_>) -> Result<CallId, CallError> {
        if self.fails(Call::Http) {
            return Err(CallError::Failed);
        }
        if !self
            .process()
            .clusters
            .iter()
            .any(|known| known == request.cluster)
        {
            return Err(CallError::UnknownCluster);
        }
        let mut state = self.state();
        state.next_call += 1;
        let id = CallId(state.next_call);
        state.calls.push(FakeCall {
            id,
            cluster: request.cluster.to_owned(),
            url: [request.scheme, request.authority, request.path].map(str::to_owned),
            timeout_ms: request.timeout_ms,
        });
        Ok(id)
    }

    fn call_response(&self, max: usize) -> Result<(Vec<u8>, Vec<u8>), HostError> {
        self.attempt(Call::HttpResponse)?;
        let (status, mut body) = self.state().response.clone().ok_or(FAILED)?;
        body.truncate(max);
        Ok((status, body))
    }

    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, HostError> {
        self.attempt(Call::GetShared)?;
        let process = self.process();
        let found = process.shared.get(key);
        Ok(found.map(|(value, version)| (value.clone(), Version(*version))))
    }

    fn set_shared_data(
        &self,
        key: &str,
        value: &[u8],
        expected: Option<Version>,
    ) -> Result<bool, HostError> {
        self.attempt(Call::SetShared)?;
        let mut state = self.state();
        if expected.is_some() && state.lost_races > 0 {
            state.lost_races -= 1;
            return Ok(false);
        }
        let mut process = self.process();
        let version = process.shared.get(key).map(|(_, version)| *version);
        // A missing value is set with any version.
        if let (Some(version), Some(expected)) = (version, expected)
            && version != expected.0
        {
            return Ok(false);
        }
        let next = version.unwrap_or_default() + 1;
        process
            .shared
            .insert(key.to_owned(), (value.to_vec(), next));
        Ok(true)
    }

    fn define_metric(&self, _kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        self.attempt(Call::DefineMetric)?;
        let metrics = &mut self.process().metrics;
        let known = metrics.iter().position(|(other, _)| other == name);
        let index = known.unwrap_or_else(|| {
            metrics.push((name.to_owned(), 0));
            metrics.len() - 1
        });
        Ok(MetricId(u32::try_from(index).unwrap()))
    }

    fn add_to_metric(&self, metric: MetricId, offset: i64) -> Result<(), HostError> {
        self.attempt(Call::AddToMetric)?;
        self.with_metric(metric, |value| *value += i128::from(offset))
    }

    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError> {
        self.attempt(Call::RecordMetric)?;
        self.with_metric(metric, |known| *known = i128::from(value))
    }
}

impl SignatureBackend for FakeHost {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        if self.fails(Call::Verify) {
            return None;
        }
        let signatures = self.state().signatures;
        match signatures {
            Signatures::Unsupported => None,
            Signatures::Correct => Portable.verify(algorithm, key, message, signature),
            Signatures::Always(answer) => Some(answer),
        }
    }
}
