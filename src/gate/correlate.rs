//! Stage 4: the correlation ID of a request.
//!
//! The signed ID of a verified token wins, then the first well-formed ID in an accepted header, then a
//! new one. No decision depends on it.

use super::principal::VerifiedPrincipal;
use super::scan::Scan;
use super::{Gate, RequestContext, counters};
use crate::bytes;
use crate::correlation::{CorrelationId, Source};

impl Gate {
    pub(super) fn correlate(
        &mut self,
        scan: &Scan<'_>,
        principal: Option<&VerifiedPrincipal>,
        ctx: &mut RequestContext<'_>,
    ) -> CorrelationId {
        let signed = principal.and_then(VerifiedPrincipal::signed_id);
        if let Some(signed) = signed {
            let was_generated = ctx
                .assigned
                .is_some_and(|assigned| assigned.source() == Source::Generated);
            let sent = scan.correlation.one().filter(|_| !was_generated);
            if sent.is_some() && !signed.is_sent_as(scan.correlation) {
                counters::add_one(Some(&mut self.counters.correlation_overwritten));
            }
            return signed.clone();
        }
        if let Some(assigned) = ctx.assigned {
            return assigned.clone();
        }
        let settings = &self.config.correlation;
        let accepted = settings.accept.iter().enumerate().map(|(index, name)| {
            let is_own = bytes::equal(name.as_bytes(), settings.header.as_bytes());
            if is_own {
                scan.correlation
            } else {
                scan.other_id(index)
            }
        });
        CorrelationId::from_headers(accepted)
            .unwrap_or_else(|| CorrelationId::generate(ctx.now_ms, (ctx.random)()))
    }
}
