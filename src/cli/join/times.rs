//! The durations of one line.

use super::fields::{Field, Fields};
use super::outcome::{Log, Outcome, Place};
use super::record::Record;

/// The durations of one line, in microseconds, and how often the hop tried. `None`: the line does not tell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// From the request to the end of the hop's own measurement: at the edge, the response's headers.
    pub total: Option<u64>,
    /// At the edge: without its wait for the next hop.
    pub own: Option<u64>,
    /// The wait of the edge or of HAProxy for the next hop.
    pub wait: Option<u64>,
    /// In HAProxy and the mesh: from the request's first byte to the response's.
    pub response: Option<u64>,
    /// In the mesh: until a connection was looked for, or until the response of a request that was denied.
    pub filter: Option<u64>,
    /// In the mesh: until a new connection to the upstream could be used.
    pub connect: Option<u64>,
    /// In the mesh: until the upstream's response.
    pub upstream: Option<u64>,
    /// How often HAProxy or Envoy sent the request on.
    pub attempts: Option<u64>,
}

impl Times {
    /// The number of durations and counts.
    pub(super) const COUNT: usize = 8;

    /// The durations of one line.
    pub(super) fn read(log: Log, record: &Record<'_>, fields: &Fields, outcome: &Outcome) -> Self {
        let micros = |field| record.micros(field, fields);
        match log {
            Log::Edge => Self {
                total: micros(Field::Duration),
                own: micros(Field::OwnTime),
                wait: micros(Field::Wait),
                ..Self::default()
            },
            Log::Haproxy => {
                let wait = micros(Field::Wait);
                let before = [Field::Request, Field::Queue, Field::Connect].map(micros);
                Self {
                    total: micros(Field::Duration),
                    wait,
                    response: before
                        .into_iter()
                        .try_fold(wait, |sum, part| Some(sum?.checked_add(part?)))
                        .flatten(),
                    attempts: record
                        .integer(Field::Retries)
                        .map(|retries| retries.saturating_add(1)),
                    ..Self::default()
                }
            }
            Log::Mesh => Self::of_mesh(record, fields, outcome),
            Log::App => Self {
                total: micros(Field::Duration),
                ..Self::default()
            },
        }
    }

    fn of_mesh(record: &Record<'_>, fields: &Fields, outcome: &Outcome) -> Self {
        let micros = |field| record.micros(field, fields);
        let (mesh, sent) = (micros(Field::Response), micros(Field::BeforeUpstream));
        let attempts = record.integer(Field::Attempts);
        let times = Self {
            response: mesh,
            attempts,
            ..Self::default()
        };
        if outcome.place == Place::Filter {
            return Self {
                filter: mesh,
                ..times
            };
        }
        // After a retry, Envoy's times are those of the last attempt.
        if attempts != Some(1) {
            return times;
        }
        let connecting = micros(Field::BeforeConnect);
        let upstream = micros(Field::Upstream).or_else(|| {
            // The upstream did not respond, and Envoy did after waiting for it.
            let waited = outcome.place == Place::Upstream;
            waited.then_some(mesh?.checked_sub(sent?)).flatten()
        });
        Self {
            filter: connecting.or(sent),
            connect: sent
                .zip(connecting)
                .and_then(|(sent, connecting)| sent.checked_sub(connecting)),
            upstream,
            ..times
        }
    }

    pub(super) const fn to_array(self) -> [Option<u64>; Self::COUNT] {
        let Self {
            total,
            own,
            wait,
            response,
            filter,
            connect,
            upstream,
            attempts,
        } = self;
        [
            total, own, wait, response, filter, connect, upstream, attempts,
        ]
    }

    pub(super) const fn from_array(times: [Option<u64>; Self::COUNT]) -> Self {
        let [
            total,
            own,
            wait,
            response,
            filter,
            connect,
            upstream,
            attempts,
        ] = times;
        Self {
            total,
            own,
            wait,
            response,
            filter,
            connect,
            upstream,
            attempts,
        }
    }
}

/// A duration for a person, with three digits.
pub(super) fn human(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..999_500 => format!("{} ms", three_digits(micros)),
        _ => format!("{} s", three_digits(micros / 1000)),
    }
}

fn three_digits(thousandths: u64) -> String {
    match thousandths {
        0..9_995 => {
            let hundredths = thousandths.saturating_add(5) / 10;
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
        9_995..99_950 => {
            let tenths = thousandths.saturating_add(50) / 100;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => (thousandths.saturating_add(500) / 1000).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_with_three_digits() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1000, "1.00 ms"),
            (9994, "9.99 ms"),
            (12_345, "12.3 ms"),
            (123_456, "123 ms"),
            (1_005_000, "1.01 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(human(micros), text);
        }
    }
}
