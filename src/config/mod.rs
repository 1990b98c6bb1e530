//! What the operator writes, checked and compiled.
pub mod problem;
pub mod reader;
