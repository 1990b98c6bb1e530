// Filters, keyboard and pointer.
const byId = (id) => document.getElementById(id);
const search = byId("search");
const columnSearch = byId("columns");

// The filters beside the search: whether a row passes, and the number of rows that do.
const filters = [
  ...(comparing ? [{
    id: "changes", label: "Only differences", row: (row) => row.change !== null,
    column: (column) => data.routes.some((row) => pairAt(row, column).change !== null),
  }] : []),
  { id: "public", label: "Public", row: (row) => shownRoute(row).public },
  { id: "shadow", label: "Shadow", row: (row) => modeWords(shownRoute(row)) !== "enforce" },
  {
    id: "conditional", label: "Conditional",
    row: (row) => data.columns.some((_, column) => pairAt(row, column).cell?.access === "conditional"),
  },
];

// What a search looks at in a row.
const haystacks = data.routes.map((row) => [row.route, row.old].filter(Boolean)
  .flatMap((route) => [routeTitle(route), routePlace(route), ...route.hosts, modeWords(route)])
  .join("\n").toLowerCase());

const words = (input) => input.value.toLowerCase().split(/\s+/).filter(Boolean);

function applyFilters() {
  const active = filters.filter((filter) => filter.box.checked);
  const [rowWords, columnWords] = [words(search), words(columnSearch)];
  const rows = data.routes.map((_, index) => index)
    .filter((index) => rowWords.every((word) => haystacks[index].includes(word)))
    .filter((index) => active.every((filter) => filter.row(data.routes[index])));
  const columns = data.columns.map((_, index) => index)
    .filter((index) => columnWords.every((word) => columnText(index).includes(word)))
    .filter((index) => active.every((filter) => filter.column?.(index) ?? true));
  const isEmpty = rows.length === 0 || columns.length === 0;
  grid.hidden = isEmpty;
  byId("empty").hidden = !isEmpty;
  if (!isEmpty) layOut(rows, columns);
  byId("status").textContent = `${rows.length} of ${data.routes.length} rows, ` +
    `${columns.length} of ${data.columns.length} columns`;
}

const columnText = (index) => `${data.columns[index].kind} ${data.columns[index].name}`.toLowerCase();

function clearFilters() {
  search.value = columnSearch.value = "";
  for (const filter of filters) filter.box.checked = false;
  applyFilters();
}

function buildTools() {
  for (const filter of filters) {
    const count = data.routes.filter(filter.row).length;
    filter.box = element("input", "");
    filter.box.type = "checkbox";
    filter.box.id = `only-${filter.id}`;
    filter.box.checked = filter.id === "changes" && data.changes_only;
    filter.box.addEventListener("change", applyFilters);
    byId("filters").append(element("label", "", filter.box, filter.label, element("span", "number", String(count))));
  }
  const explain = (mark, text) => {
    mark.ariaHidden = "true";
    byId("legend").append(element("li", "", mark, text));
  };
  explain(makeMark({ style: "allowed", sign: signs.allowed }), "allowed");
  explain(makeMark({ style: "public", sign: signs.public }), "public");
  explain(makeMark({ style: "conditional", sign: signs.conditional }), "under conditions");
  explain(makeMark({ style: "denied", sign: signs.denied }), "denied");
  explain(makeMark({ style: "denied recorded", sign: signs.denied }), "denial only recorded");
  if (comparing) {
    for (const [change, text] of Object.entries(changeWords)) {
      explain(element("span", `swatch ${change}`), text);
    }
  }
  const name = (text) => element("code", "", isolated(text));
  byId("configs").append(...(comparing ? [name(data.old_config), " → ", name(data.config)] : [name(data.config)]));
  byId("counts").append(...counts());
  byId("changes-help").hidden = !comparing;
}

function counts() {
  const part = (number, text) => [element("b", "", number.toLocaleString("en")), ` ${text}`];
  if (!comparing) {
    return [...part(data.routes.length - 1, "routes × "), ...part(data.columns.length, "columns")];
  }
  const tally = Object.entries(changeWords).map(([change, text]) => part(data.change_counts[change], text));
  return tally.flatMap((parts, index) => (index > 0 ? [" · ", ...parts] : parts));
}

// The next (1) or previous (-1) change after the current cell, row by row.
function moveToChange(step) {
  const width = shownColumns.length;
  const total = shownRows.length * width;
  const start = Math.max(current.row, 0) * width + Math.max(current.column, 0);
  for (let distance = 1; distance <= total; distance += 1) {
    const at = (((start + step * distance) % total) + total) % total;
    const [row, column] = [Math.floor(at / width), at % width];
    if (pairAt(data.routes[shownRows[row]], shownColumns[column]).change !== null) {
      moveTo(row, column);
      return;
    }
  }
}

// Where a key moves to in the grid; null if it does not move.
function destination({ key, ctrlKey, metaKey }) {
  const jump = ctrlKey || metaKey;
  const page = Math.max(1, Math.floor((grid.clientHeight - head.offsetHeight) / head.nextElementSibling.offsetHeight) - 1);
  const { row, column } = current;
  const last = { row: shownRows.length - 1, column: shownColumns.length - 1 };
  switch (key) {
    case "ArrowUp": return { row: jump ? 0 : row - 1, column };
    case "ArrowDown": return { row: jump ? last.row : row + 1, column };
    case "ArrowLeft": return { row, column: jump ? 0 : column - 1 };
    case "ArrowRight": return { row, column: jump ? last.column : column + 1 };
    case "Home": return { row: jump ? 0 : row, column: jump ? 0 : -1 };
    case "End": return { row: jump ? last.row : row, column: last.column };
    case "PageUp": return { row: Math.max(0, row - page), column };
    case "PageDown": return { row: row + page, column };
    default: return null;
  }
}

grid.addEventListener("keydown", (event) => {
  if (event.altKey) return;
  const to = destination(event);
  if (to !== null) {
    event.preventDefault();
    const clamp = (value, most) => Math.min(Math.max(value, -1), most);
    const row = clamp(to.row, shownRows.length - 1);
    const column = clamp(to.column, shownColumns.length - 1);
    if (row !== current.row || column !== current.column) moveTo(row, column);
  } else if (comparing && (event.key === "n" || event.key === "p")) {
    event.preventDefault();
    moveToChange(event.key === "n" ? 1 : -1);
  }
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input:not([type=checkbox])");
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "Escape") {
    event.preventDefault();
    clearFilters();
    moveTo(current.row, current.column);
  } else if (isTyping && (event.key === "ArrowDown" || event.key === "Enter") && !grid.hidden) {
    event.preventDefault();
    moveTo(0, Math.max(current.column, 0));
  }
});

byId("tools").addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", applyFilters);
columnSearch.addEventListener("input", applyFilters);

grid.addEventListener("mousedown", (event) => {
  const place = placeAt(event);
  if (place === null) return;
  event.preventDefault();
  moveTo(place.row, place.column);
});
let hovered = null;
grid.addEventListener("mousemove", (event) => {
  const place = placeAt(event);
  if (place === null || (place.row === hovered?.row && place.column === hovered?.column)) return;
  hovered = place;
  show(place);
});
grid.addEventListener("mouseleave", () => {
  hovered = null;
  if (grid.contains(document.activeElement)) show(current);
});
grid.addEventListener("focusin", (event) => {
  const place = placeOf(event.target);
  if (place !== null) show(place);
});

addEventListener("resize", setWidths);
// On paper there is no scrolling: all cells are needed.
addEventListener("beforeprint", () => rowElements.filter((made) => !made.hidden).forEach(fill));

buildTools();
buildGrid();
showNothing();
applyFilters();
