// The data, and what it means in words.
const data = JSON.parse(document.getElementById("data").textContent);
const comparing = data.old_config !== null;

const accessWords = { allowed: "Allowed", conditional: "Allowed if", denied: "Denied" };
const changeWords = {
  newly_allowed: "newly allowed", newly_denied: "newly denied", conditions_changed: "conditions changed",
};
// The changes of a row's cells are one character for each column.
const changeNames = { "+": "newly_allowed", "-": "newly_denied", "~": "conditions_changed" };

// A route as its row shows it: the newer one, if there is one.
const shownRoute = (row) => row.route ?? row.old;
const routeTitle = (route) => route.name ?? "No route matches";

// `GET, HEAD shop.example.com/orders`
function routePlace(route) {
  const hosts = route.hosts.length > 1 ? `${route.hosts[0]} (+${route.hosts.length - 1})` : route.hosts.join("");
  const place = route.name === null ? "any other request" : hosts + route.path;
  return [route.methods.join(", "), place].filter((text) => text !== "").join(" ");
}

function modeWords(route) {
  if (route.mode === "shadow") return "shadow";
  return route.enforce_percent === 100 ? "enforce" : `enforce ${route.enforce_percent} %`;
}

// What the row of a cell has at a column: { cell, old, change }. `cell` is null if it is not known.
function pairAt(row, column) {
  return {
    cell: data.cells[row.cells[column]] ?? null,
    old: row.old_cells ? data.cells[row.old_cells[column]] ?? null : null,
    change: changeNames[row.changes?.[column]] ?? null,
  };
}

// Why a cell is as it is, as one sentence for each alternative.
function reasons(cell) {
  if (cell === null) return ["It is not known which route decides."];
  return cell.alternatives
    .filter((it) => cell.access === "denied" || it.result !== "fails")
    .filter((it) => cell.access !== "allowed" || it.result === "holds")
    .map((it) => (it.result === "conditional" ? it.if.join(" and ") : it.why));
}

function sentence(cell) {
  const access = cell === null ? "Not known" : accessWords[cell.access];
  return `${access}: ${reasons(cell).join(", or ")}`;
}

// The whole reason as text: what a screen reader says for a cell.
function reasonText(row, column) {
  const { cell, old, change } = pairAt(row, column);
  const route = shownRoute(row);
  const parts = [];
  if (change !== null) parts.push(`${changeWords[change]}. Before: ${sentence(old)}. Now: ${sentence(cell)}`);
  else parts.push(sentence(cell));
  if (isRecorded(row, cell)) parts.push("the denial is recorded only, the request passes");
  if (route.public) parts.push("the route is public");
  const note = data.columns[column].note;
  if (note) parts.push(note);
  return parts.join("; ");
}

// Whether a denial on this row lets the request pass.
const isRecorded = (row, cell) => shownRoute(row).mode === "shadow" && cell !== null && cell.access !== "allowed";

// The mark of a cell: its class, and the sign in it.
function markOf(row, cell) {
  if (cell === null) return { style: "unknown", sign: "·" };
  const access = cell.access === "allowed" && shownRoute(row).public ? "public" : cell.access;
  const style = isRecorded(row, cell) ? `${access} recorded` : access;
  return { style, sign: signs[access] };
}

const signs = { allowed: "✓", public: "✓", conditional: "if", denied: "–" };

// The element of a mark, copied from the first one of its kind. Screen readers get words for it.
function makeMark({ style, sign }, className = "") {
  const kind = `${className} mark ${style}`;
  if (!marks.has(kind)) marks.set(kind, element("span", kind, sign));
  return marks.get(kind).cloneNode(true);
}

const marks = new Map();

// An element with a class and content; text never becomes markup.
function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

// Text of the config, which must not change the direction of what is around it.
const isolated = (text) => element("bdi", "", text);
