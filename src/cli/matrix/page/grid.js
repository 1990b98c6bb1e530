// The grid. Every route has its row and header, so that the browser's search and screen readers find it; the
// cells of a row exist only while it is near the visible part.
const grid = document.getElementById("grid");
const reason = document.getElementById("reason");
// The indexes of the routes and columns that the filters leave.
let shownRows = [];
let shownColumns = [];
// The row elements, by the index of the route, and the reverse.
const rowElements = [];
const rowOf = new WeakMap();
// The places of the rows among those shown, and their height.
const placeOfRow = new WeakMap();
let rowHeight = 1;
// The cell with the focus; -1 is the row of column headers, or the column of routes.
let current = { row: 0, column: 0 };
const head = element("div", "row head");
const beam = element("div", "");

function buildGrid() {
  beam.id = "beam";
  beam.hidden = true;
  head.role = "row";
  grid.append(head);
  const rows = document.createDocumentFragment();
  data.routes.forEach((row, index) => {
    const made = element("div", `row ${row.change ?? ""}`, rowHeader(row));
    made.role = "row";
    rowElements.push(made);
    rowOf.set(made, index);
    rows.append(made);
  });
  grid.append(rows, beam);
  grid.classList.toggle("quiet", comparing);
}

function rowHeader(row) {
  const route = shownRoute(row);
  const name = element("span", "name", isolated(routeTitle(route)));
  const badge = (className, text) => name.append(" ", element("span", `badge ${className}`, text));
  if (row.change) badge(row.change, row.change);
  if (route.public) badge("", "public");
  const modes = [...new Set([row.old, row.route].filter(Boolean).map(modeWords))];
  if (modes.join() !== "enforce") badge("shadow", modes.join(" → "));
  if (row.needs_several_roles) badge("", "several roles");
  const made = element("div", "lead", name, element("span", "place", isolated(routePlace(route))));
  made.role = "rowheader";
  return made;
}

// What is in front of the name of a column that is no role.
const columnKinds = { scope: "scope", peer: "peer", issuer: "issuer" };

// The name as the header has it: long IDs differ at their end.
function shortName(column) {
  const characters = [...data.columns[column].name];
  return characters.length > 28 ? `…${characters.slice(-27).join("")}` : characters.join("");
}

function columnHeader(index) {
  const { kind, name, note } = data.columns[index];
  const style = kind === name ? "built-in" : "";
  const made = element("div", `col ${style} ${note ? "noted" : ""}`, isolated(shortName(index)));
  if (columnKinds[kind]) made.prepend(element("span", "kind", kind));
  made.role = "columnheader";
  made.setAttribute("aria-label", columnKinds[kind] ? `${kind} ${name}` : name);
  return made;
}

function makeCell(row, column) {
  const { cell, old, change } = pairAt(row, column);
  let made;
  if (change === null) {
    made = makeMark(markOf(row, cell), "cell");
    made.setAttribute("aria-label", cell?.access ?? "not known");
  } else {
    made = element("div", `cell pair ${change}`, makeMark(markOf(row, old)), element("span", "arrow", "→"),
      makeMark(markOf(row, cell)));
    made.setAttribute("aria-label", `${changeWords[change]}: ${old.access}, now ${cell.access}`);
  }
  made.setAttribute("role", "gridcell");
  return made;
}

// Makes the cells of a row, if they are not there.
function fill(made) {
  if (made.childElementCount > 1) return;
  const row = data.routes[rowOf.get(made)];
  made.append(...shownColumns.map((column) => makeCell(row, column)));
}

function empty(made) {
  // The focus would be lost with its cell.
  if (made.contains(document.activeElement) || rowOf.get(made) === shownRows[current.row]) return;
  made.replaceChildren(made.firstElementChild);
}

// The rows near the visible part that are to be filled, and those far from it that are to be emptied.
const toFill = new Set();
const toEmpty = new Set();
let workIsScheduled = false;

const nearby = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    toFill.delete(target);
    toEmpty.delete(target);
    (isIntersecting ? toFill : toEmpty).add(target);
  }
  scheduleWork();
}, { root: grid, rootMargin: "500px 0px" });

// Fills rows for a part of a frame, so that scrolling stays smooth; what can be seen comes first.
function work() {
  workIsScheduled = false;
  const until = performance.now() + 6;
  // By the row's number, because asking for its place would lay out the page for each row.
  const middle = (grid.scrollTop + grid.clientHeight / 2) / rowHeight;
  const distance = (made) => Math.abs(placeOfRow.get(made) - middle);
  const rows = [...toFill].sort((one, other) => distance(one) - distance(other));
  for (const made of rows) {
    if (performance.now() > until) break;
    fill(made);
    toFill.delete(made);
  }
  for (const made of toEmpty) {
    if (performance.now() > until) break;
    empty(made);
    toEmpty.delete(made);
  }
  if (toFill.size + toEmpty.size > 0) scheduleWork();
}

// Once for each frame, however often the observer reports.
function scheduleWork() {
  if (workIsScheduled) return;
  workIsScheduled = true;
  requestAnimationFrame(work);
}

// Shows these routes and columns.
function layOut(rows, columns) {
  const hadFocus = grid.contains(document.activeElement);
  // A header stays the current place; a cell that is no longer shown gives way to the first one.
  const place = (at, before, after) => (at < 0 ? -1 : Math.max(after.indexOf(before[at]), 0));
  const next = { row: place(current.row, shownRows, rows), column: place(current.column, shownColumns, columns) };
  const sameColumns = columns.length === shownColumns.length && columns.every((it, at) => it === shownColumns[at]);
  [shownRows, shownColumns] = [rows, columns];
  if (!sameColumns) {
    for (const made of rowElements) made.replaceChildren(made.firstElementChild);
    const corner = element("div", "lead", "Route");
    corner.role = "columnheader";
    head.replaceChildren(corner, ...columns.map(columnHeader));
  }
  setWidths();
  const visible = new Set(rows);
  rowElements.forEach((made, index) => {
    made.hidden = !visible.has(index);
    nearby.unobserve(made);
    if (!made.hidden) nearby.observe(made);
  });
  rows.forEach((index, at) => {
    rowElements[index].ariaRowIndex = String(at + 2);
    placeOfRow.set(rowElements[index], at);
  });
  rowHeight = rowElements[rows[0]].offsetHeight;
  head.ariaRowIndex = "1";
  grid.ariaRowCount = String(rows.length + 1);
  grid.ariaColCount = String(columns.length + 1);
  moveTo(next.row, next.column, hadFocus);
}

// Few columns with short names get room for them; many are narrow, with turned names.
function setWidths() {
  const extra = (column) => (columnKinds[data.columns[column].kind] ? 7 : 0);
  const longest = Math.max(0, ...shownColumns.map((it) => shortName(it).length + extra(it)));
  const room = (grid.clientWidth - 330) / Math.max(shownColumns.length, 1);
  const isWide = longest <= 16 && room >= Math.max(64, longest * 7.6 + 12);
  grid.classList.toggle("wide", isWide);
  const least = comparing ? 70 : 38;
  const cell = isWide ? Math.min(150, Math.floor(room)) : Math.max(least, Math.min(76, Math.floor(room)));
  grid.style.setProperty("--cell", `${cell}px`);
  grid.style.setProperty("--count", String(shownColumns.length));
  grid.style.setProperty("--head", isWide ? "44px" : `${Math.min(290, longest * 8 + 30)}px`);
}

// The element at a place of the grid.
function elementAt(row, column) {
  const made = row < 0 ? head : rowElements[shownRows[row]];
  if (row >= 0) fill(made);
  return made.children[column + 1];
}

// The place of a cell or header: { row, column }, or null for other elements.
function placeOf(target) {
  const cell = target.closest?.("[role=gridcell], [role=rowheader], [role=columnheader]");
  if (!cell) return null;
  const column = [...cell.parentElement.children].indexOf(cell) - 1;
  if (cell.parentElement === head) return { row: -1, column };
  return { row: shownRows.indexOf(rowOf.get(cell.parentElement)), column };
}

// The place under the pointer, or null. Marks are smaller than the place of their cell.
function placeAt({ target, clientX }) {
  const made = target.closest?.(".row");
  if (!made) return null;
  const row = made === head ? -1 : shownRows.indexOf(rowOf.get(made));
  if (target.closest(".lead")) return { row, column: -1 };
  const first = head.firstElementChild.offsetWidth;
  const x = clientX - grid.getBoundingClientRect().left - grid.clientLeft + grid.scrollLeft - first;
  const column = Math.floor(x / head.children[1].offsetWidth);
  return column >= 0 && column < shownColumns.length ? { row, column } : null;
}

// Makes a place the one that Tab reaches, and moves the focus to it.
function moveTo(row, column, focus = true) {
  const before = grid.querySelector('[tabindex="0"]');
  before?.removeAttribute("aria-describedby");
  current = { row, column };
  const target = elementAt(row, column);
  if (before && before !== target) before.tabIndex = -1;
  target.tabIndex = 0;
  if (row >= 0 && column >= 0) {
    reason.textContent = reasonText(data.routes[shownRows[row]], shownColumns[column]);
    target.setAttribute("aria-describedby", "reason");
  } else if (column >= 0) {
    reason.textContent = data.columns[shownColumns[column]].meaning;
    target.setAttribute("aria-describedby", "reason");
  }
  if (!focus) return;
  target.focus({ preventScroll: true });
  scrollToRow(row);
  scrollToColumn(column);
  show(current);
}

function scrollToRow(row) {
  if (row < 0) return;
  const { offsetTop, offsetHeight } = rowElements[shownRows[row]];
  const above = head.offsetHeight;
  if (offsetTop - above < grid.scrollTop) grid.scrollTop = offsetTop - above;
  else if (offsetTop + offsetHeight > grid.scrollTop + grid.clientHeight) {
    grid.scrollTop = offsetTop + offsetHeight - grid.clientHeight;
  }
}

function scrollToColumn(column) {
  if (column < 0) {
    grid.scrollLeft = 0;
    return;
  }
  const lead = head.firstElementChild.offsetWidth;
  const { offsetLeft, offsetWidth } = head.children[column + 1];
  if (offsetLeft - lead < grid.scrollLeft) grid.scrollLeft = offsetLeft - lead;
  else if (offsetLeft + offsetWidth > grid.scrollLeft + grid.clientWidth) {
    grid.scrollLeft = offsetLeft + offsetWidth - grid.clientWidth;
  }
}

// Shows the reason of a place, and marks its column.
function show({ row, column }) {
  beam.hidden = column < 0;
  if (column >= 0) {
    const title = head.children[column + 1];
    beam.style.setProperty("left", `${title.offsetLeft}px`);
    beam.style.setProperty("height", `${grid.scrollHeight}px`);
  }
  if (row >= 0 && column >= 0) showCell(data.routes[shownRows[row]], shownColumns[column]);
  else if (row >= 0) showRoute(data.routes[shownRows[row]]);
  else if (column >= 0) showColumn(shownColumns[column]);
}
