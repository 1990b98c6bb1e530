//! What a user of the page sees, hears and does.

use serde_json::{Value, json};

use crate::chromium::{Accessible, Chromium};
use crate::pages::{Pages, config, full, picture, shop};

/// The text of an element.
fn text(browser: &mut Chromium, id: &str) -> String {
    let text = browser.eval(&format!("document.getElementById({id:?}).innerText"));
    text.as_str().expect("text").to_owned()
}

/// The page must have asked for nothing but itself, and have met no error.
#[track_caller]
fn check_quiet(browser: &mut Chromium) {
    let requests = browser.requests();
    let is_own = |url: &&String| url.starts_with("file:///") && url.ends_with("/page.html");
    assert_eq!(requests.iter().filter(is_own).count(), 1, "{requests:?}");
    let others: Vec<_> = requests
        .iter()
        .filter(|url| !is_own(url) && *url != "data:,")
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(browser.problems(), Vec::<String>::new());
}

fn cell(name: &str, description: &str) -> Accessible {
    Accessible {
        role: "gridcell".to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
    }
}

#[test]
fn search_keyboard_and_screen_reader() {
    let pages = Pages::new();
    let mut browser = Chromium::start();
    browser.open(&pages.make(&full(), &[]));
    assert_eq!(
        text(&mut browser, "status"),
        "5 of 5 rows, 6 columns".replace("6 columns", "6 of 6 columns")
    );
    assert_eq!(browser.count_role("grid"), 1);
    assert_eq!(browser.count_role("row"), 6);
    assert_eq!(browser.count_role("rowheader"), 5);
    assert_eq!(browser.count_role("columnheader"), 7);
    assert_eq!(browser.count_role("gridcell"), 30);

    // `/` goes to the search, Enter to the first result.
    browser.press("/");
    browser.write("orders");
    assert_eq!(text(&mut browser, "status"), "1 of 5 rows, 6 of 6 columns");
    browser.press("Enter");
    assert_eq!(
        browser.focused(),
        cell("denied", "Denied: needs a verified token")
    );
    for _ in 0..3 {
        browser.press("ArrowRight");
    }
    assert_eq!(
        browser.focused(),
        cell("denied", "Denied: needs all of [employee]"),
        "the column of editor"
    );
    browser.press("Home");
    let header = browser.focused();
    assert_eq!(header.role, "rowheader");
    assert!(header.name.contains("orders-write"), "{header:?}");
    assert!(header.name.contains("several roles"), "{header:?}");
    assert!(text(&mut browser, "details").contains("max_age 900s"));

    // Esc shows all again and keeps the place.
    browser.press("Escape");
    assert_eq!(text(&mut browser, "status"), "5 of 5 rows, 6 of 6 columns");
    assert!(browser.focused().name.contains("orders-write"));
    browser.press("Control+End");
    assert_eq!(
        browser.focused(),
        cell(
            "denied",
            "Denied: no route matches, and rbac.default is deny"
        )
    );
    browser.press("ArrowUp");
    assert_eq!(
        browser.focused(),
        cell(
            "conditional",
            "Allowed if: peer spiffe://cluster.local/ns/batch/sa/reporter"
        )
    );
    browser.press("Control+Home");
    assert_eq!(
        browser.focused(),
        cell("allowed", "Allowed: public; the route is public")
    );
    browser.press("ArrowUp");
    let header = browser.focused();
    assert_eq!(
        (&*header.role, &*header.description),
        ("columnheader", "a request without a token")
    );

    // One stop for Tab: it leaves the grid, and Shift+Tab would come back.
    assert_eq!(
        browser.eval("grid.querySelectorAll('[tabindex=\"0\"]').length"),
        json!(1)
    );
    check_quiet(&mut browser);
}

#[test]
fn the_pointer_shows_the_reason_and_filters_combine() {
    let (_, new) = shop();
    let pages = Pages::new();
    let mut browser = Chromium::start();
    browser.emulate("screen", "light");
    browser.open(&pages.make(&pages.config("shop.yaml", &new), &[]));
    browser.point_at("elementAt(5, 3)");
    let details = text(&mut browser, "details");
    for part in [
        "editor on orders-write",
        "Allowed if",
        "scopes orders:write and orders:create",
        "{tenant} equals the claim tenant_id",
    ] {
        assert!(details.contains(part), "{part}: {details}");
    }
    assert!(!details.contains("undefined"), "{details}");
    browser.screenshot(&picture("light"));
    browser.emulate("screen", "dark");
    browser.settle();
    browser.screenshot(&picture("dark"));
    browser.eval("document.getElementById('only-conditional').click()");
    browser.eval("columnSearch.focus()");
    browser.write("role edit");
    assert_eq!(text(&mut browser, "status"), "4 of 12 rows, 1 of 9 columns");
    browser.write("zzz");
    assert!(text(&mut browser, "empty").contains("Nothing matches"));
    browser.press("Escape");
    assert_eq!(
        text(&mut browser, "status"),
        "12 of 12 rows, 9 of 9 columns"
    );
    check_quiet(&mut browser);
}

#[test]
fn changes_are_marked_and_reached() {
    let (old, new) = shop();
    let pages = Pages::new();
    let old = pages.config("old.yaml", &old);
    let new = pages.config("new.yaml", &new);
    let page = pages.make(
        &new,
        &["--compare", &old.display().to_string(), "--changes-only"],
    );
    let mut browser = Chromium::start();
    browser.emulate("screen", "light");
    browser.open(&page);
    assert_eq!(
        browser.eval("document.getElementById('only-changes').checked"),
        json!(true)
    );
    let counts = text(&mut browser, "counts");
    assert_eq!(
        counts,
        "3 newly allowed · 23 newly denied · 2 conditions changed"
    );
    // Nothing relies on colour: the text of a cell says what changes.
    browser.eval("moveTo(0, 0)");
    let mut found = Vec::new();
    for _ in 0..28 {
        browser.press("n");
        let focused = browser.focused();
        assert!(focused.description.contains("Before: "), "{focused:?}");
        found.push(focused.name);
    }
    let count = |kind: &str| found.iter().filter(|name| name.starts_with(kind)).count();
    assert_eq!(
        [
            count("newly allowed"),
            count("newly denied"),
            count("conditions changed")
        ],
        [3, 23, 2],
        "{found:?}"
    );
    browser.press("p");
    browser.eval("moveTo(0, shownColumns.findIndex((it) => data.columns[it].name === 'partner'))");
    assert_eq!(
        browser.focused(),
        cell(
            "newly allowed: denied, now conditional",
            "newly allowed. Before: Denied: needs any of [editor]. Now: Allowed if: scope catalog:write"
        )
    );
    browser.screenshot(&picture("changes-only"));
    browser.press("Escape");
    browser.eval("moveTo(2, shownColumns.findIndex((it) => data.columns[it].name === 'partner'))");
    browser.settle();
    browser.screenshot(&picture("changes"));
    browser.emulate("screen", "dark");
    browser.settle();
    browser.screenshot(&picture("changes-dark"));
    check_quiet(&mut browser);
}

#[test]
fn names_stay_text() {
    let hostile = [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "<!--<script>",
        "\u{202e}nimda",
        "{{script}}",
        "'\"><svg onload=alert(1)>",
        "__proto__",
    ];
    let routes = json!([{"name": "a", "path": "/a", "allow": {
        "any_role": hostile,
        "scopes": {"claim": "</script><b>", "all": hostile},
        "when": {"claim": "x", "in": hostile},
    }}]);
    let pages = Pages::new();
    let file = pages.config("<b>&lt;{{data}}.json", &config(&json!({}), &routes));
    let page = pages.make(&file, &["--columns", "roles,scopes"]);
    let mut browser = Chromium::start();
    browser.open(&page);
    let title = browser.eval("document.title");
    assert!(
        title
            .as_str()
            .expect("a title")
            .ends_with("<b>&lt;{{data}}.json"),
        "{title}"
    );
    for (column, name) in hostile.iter().enumerate() {
        browser.eval(&format!("moveTo(0, {column} + 2)"));
        let details = text(&mut browser, "details");
        assert!(details.contains(name), "{details}");
    }
    assert_eq!(
        browser.eval("document.querySelectorAll('img, svg, b:not(#counts b), script').length"),
        json!(2)
    );
    // Had a name become markup, the policy would still not let it run.
    let refused = browser.eval(
        "(() => { try { document.body.innerHTML = '<img>'; return 'done'; } catch (error) { return error.name; } })()",
    );
    assert_eq!(refused, "TypeError");
    let requests = browser.requests();
    assert_eq!(
        requests.iter().filter(|url| *url != "data:,").count(),
        1,
        "{requests:?}"
    );
}

#[test]
fn the_policy_of_the_page_refuses_the_network() {
    let pages = Pages::new();
    let mut browser = Chromium::start();
    browser.open(&pages.make(&full(), &[]));
    check_quiet(&mut browser);
    let refused =
        browser.eval("fetch('https://example.com/').then(() => 'sent', (error) => error.name)");
    assert_eq!(refused, "TypeError");
    let blocked = browser.problems();
    assert!(
        blocked
            .iter()
            .any(|it| it.contains("connect-src") || it.contains("default-src")),
        "{blocked:?}"
    );
}

#[test]
fn all_is_printed() {
    let (_, new) = shop();
    let pages = Pages::new();
    let mut browser = Chromium::start();
    browser.open(&pages.make(&pages.config("shop.yaml", &new), &[]));
    browser.emulate("print", "light");
    let pdf = browser.call(
        "Page.printToPDF",
        json!({"landscape": true, "printBackground": true}),
    );
    assert!(
        pdf["data"].as_str().is_some_and(|data| data.len() > 10_000),
        "a page was printed"
    );
    let cells = browser.eval("document.querySelectorAll('[role=gridcell]').length");
    assert_eq!(cells, json!(12 * 9));
    assert_eq!(
        browser.eval("getComputedStyle(grid).overflow"),
        Value::from("visible")
    );
    browser.screenshot(&picture("print"));
    check_quiet(&mut browser);
}
