//! Envoy Gateway for real: its controller in standalone mode, which reads Kubernetes resources from files, and an Envoy
//! that it configures.
//!
//! `make test-envoy-gateway` builds what this needs and runs it. What differs from a cluster: there is no API server
//! (Envoy Gateway checks the resources itself against the schemas of its CRDs), backends are addresses and not
//! Services, and the test starts Envoy, with the arguments with which Envoy Gateway would have started it.

mod attachment;
mod configs;
mod example;
mod failures;
mod guard;
mod keys;
mod lab;
mod manifests;
mod sharing;
mod sources;
