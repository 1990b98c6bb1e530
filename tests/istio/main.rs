//! The project's manifests in a real Istio: Kubernetes API server, istiod, and pilot-agents with Envoy.
//!
//! `make test-istio` builds what this needs and runs it. One test:
//! `cargo --config tests/istio/cargo.toml test --package edge-claims-harness --test istio NAME`
//!
//! ```text
//! let mut lab = Lab::open();                    // a mesh without the filter; tests run one after the other
//! let image = Image::push();                    // the module in registry.example.com
//! lab.apply(&image.in_manifest(manifests::GATEWAY_WASMPLUGIN));
//! let gateway = lab.gateway();                  // or lab.start(&proxy::GATEWAY), which waits for nothing
//! gateway.client().get("/public/a").send();     // host shop.example.com
//! gateway.access(id);                           // its access log
//! lab.keys_host.down();                         // outages; lab.registry too, lab.hosts_up() ends them
//! lab.istiod(Istiod { environment, ..Istiod::default() });   // another istiod
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`lab`] | the whole mesh |
//! | [`cluster`] | the API server, `kubectl` |
//! | [`proxy`] | gateway and sidecars |
//! | [`host`] | hosts outside of the mesh, with TLS |
//! | [`manifests`] | the files of the tree that are applied, and the image |
//! | [`process`] | processes and waiting |

mod cluster;
mod failures;
mod gateway;
mod host;
mod keys;
mod lab;
mod manifests;
mod order;
mod peers;
mod pitfalls;
mod process;
mod proxy;
mod requests;
mod telemetry;
mod updates;
mod worst_day;
