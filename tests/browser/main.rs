//! The web page of `edge-claims matrix` in a real Chromium: search, keyboard, reasons, changes, hostile names,
//! no network, and how it scrolls. `make test-browser` runs them; the pictures are in `target/browser/`.

mod chromium;
mod matrix;
mod pages;
mod scroll;
