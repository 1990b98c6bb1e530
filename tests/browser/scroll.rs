//! 1,000 routes × 50 roles: what is drawn does not grow with the matrix, and how smoothly it scrolls.

use serde_json::json;

use crate::chromium::Chromium;
use crate::pages::{Pages, large, picture};

/// At this share of the times between frames, in percent.
fn share(times: &[f64], percent: usize) -> f64 {
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).copied().unwrap_or(0.0)
}

/// Waits until the rows that are to be filled are.
fn filled(browser: &mut Chromium) {
    browser.settle();
    browser.eval(
        "new Promise((done) => { (function wait() { toFill.size > 0 ? requestAnimationFrame(wait) : done(); })(); })",
    );
    browser.settle();
}

#[test]
fn a_large_matrix_scrolls() {
    let pages = Pages::new();
    let page = pages.make(&pages.config("large.json", &large()), &[]);
    let size = std::fs::metadata(&page).expect("the page").len();
    let mut browser = Chromium::start();
    browser.emulate("screen", "light");
    browser.open(&page);
    let ready = browser.eval("performance.getEntriesByType('navigation')[0].loadEventEnd");
    println!("page: {} KiB, ready after {ready} ms", size / 1024);
    let cells = "document.querySelectorAll('[role=gridcell]').length";
    filled(&mut browser);
    let at_start = browser.eval(cells).as_u64().expect("a number");
    for (distance, speed) in [(-10_000, 3_000), (-20_000, 8_000), (30_000, 20_000)] {
        let gesture = json!({"x": 500, "y": 500, "yDistance": distance, "speed": speed, "gestureSourceType": "mouse"});
        let before = browser.eval("grid.scrollTop");
        let times = browser.frames(|browser| {
            browser.call("Input.synthesizeScrollGesture", gesture);
        });
        println!(
            "scrolling at {speed} px/s: {} frames, ms between them: median {:.1}, 95 % {:.1}, 99 % {:.1}, longest {:.1}",
            times.len(),
            share(&times, 50),
            share(&times, 95),
            share(&times, 99),
            share(&times, 100)
        );
        let after = browser.eval("grid.scrollTop");
        assert_ne!(after, before, "the grid scrolls");
        // Nothing that can be seen stays empty.
        filled(&mut browser);
        let empty = browser.eval(
            "(() => { const view = grid.getBoundingClientRect();
               return rowElements.filter((row) => { const box = row.getBoundingClientRect();
                 return box.bottom > view.top && box.top < view.bottom && row.childElementCount === 1; }).length; })()",
        );
        assert_eq!(empty, json!(0));
    }
    // What exists is what is near the visible part.
    browser.eval("grid.scrollTop = grid.scrollHeight / 2");
    browser.settle();
    filled(&mut browser);
    let in_middle = browser.eval(cells).as_u64().expect("a number");
    for count in [at_start, in_middle] {
        assert!((600..5_000).contains(&count), "{count} of 50,000 cells");
    }
    browser.screenshot(&picture("large"));

    // Every place can be reached at once, and is filled.
    browser.eval("moveTo(0, 0)");
    browser.press("Control+End");
    let last = browser.focused();
    assert_eq!((&*last.role, &*last.name), ("gridcell", "denied"));
    assert!(last.description.contains("no route matches"), "{last:?}");
    let is_visible = "(() => { const [cell, view] = [document.activeElement, grid].map((it) => it.getBoundingClientRect());
        return cell.bottom <= view.bottom && cell.right <= view.right && cell.top > view.top; })()";
    assert_eq!(browser.eval(is_visible), json!(true));
    browser.press("PageUp");
    assert_eq!(browser.eval(is_visible), json!(true));
    // A screen reader finds every route, not only the visible ones.
    assert_eq!(browser.count_role("rowheader"), 1_001);
    assert_eq!(browser.problems(), Vec::<String>::new());
}
