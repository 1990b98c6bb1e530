"""The bench rig behind `benches/run`; docs/benchmarks.md says what it measures and how."""
