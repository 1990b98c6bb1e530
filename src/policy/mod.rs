//! Path, routes, access tests, the decision.
