//! Compares policies without traffic: one representative request for each class of requests that the routes tell
//! apart ([`shapes`]), and the least that a principal needs for access ([`terms`]).

pub(super) mod shapes;
pub(super) mod terms;

#[cfg(test)]
pub(super) mod tests;
