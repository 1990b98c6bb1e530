// The panel with the reason of a cell, a route or a column.
const details = document.getElementById("details");

function showCell(row, column) {
  const { cell, old, change } = pairAt(row, column);
  const title = element("h2", "", isolated(data.columns[column].name), " on ", isolated(routeTitle(shownRoute(row))));
  const body = [];
  if (change !== null) {
    body.push(element("p", "verdict", element("span", `swatch ${change}`), changeWords[change]));
    body.push(side("Before", row, old), side("Now", row, cell));
  } else {
    body.push(...verdict(row, cell));
  }
  const note = data.columns[column].note;
  if (note) body.push(element("h3", "", "Column"), element("p", "", note));
  details.replaceChildren(title, ...body, ...routeFacts(row));
}

function side(heading, row, cell) {
  return element("section", "side", element("h3", "", heading), ...verdict(row, cell));
}

function verdict(row, cell) {
  if (cell === null) return [element("p", "verdict", ...reasons(cell))];
  const mark = makeMark(markOf(row, cell));
  mark.ariaHidden = "true";
  const list = element("ol", "", ...cell.alternatives.map(alternative));
  const parts = [element("p", "verdict", mark, accessWords[cell.access]), list];
  if (isRecorded(row, cell)) {
    parts.push(element("p", "why", "Shadow mode: a denial is recorded only, the request passes."));
  }
  return parts;
}

function alternative(it) {
  if (it.result === "conditional") {
    return element("li", "conditional", element("ul", "", ...it.if.map((text) => element("li", "", text))));
  }
  if (it.result === "holds") return element("li", "holds", it.why);
  return element("li", "fails", element("code", "", it.reason), " ", element("span", "why", it.why));
}

function routeFacts(row) {
  const facts = element("dl", "");
  const add = (name, ...value) => facts.append(element("dt", "", name), element("dd", "", ...value));
  const both = (name, words) => {
    const [before, now] = [row.old, row.route].map((route) => (route ? words(route) : null));
    if (before !== null && now !== null && before !== now) {
      add(name, element("del", "", before), " ", element("ins", "", now));
    } else {
      add(name, now ?? before);
    }
  };
  both("Path", (route) => (route.name === null ? "any other request" : route.path));
  both("Methods", (route) => route.methods.join(", ") || "all");
  both("Hosts", (route) => route.hosts.join(", ") || "all");
  both("Mode", modeWords);
  both("Allow", (route) => route.allow.map((all) => all.join(" and ")).join(", or ") || "no one");
  if (row.needs_several_roles) add("Note", "no role alone is enough");
  if (row.instead) add(row.route ? "Before" : "Now", isolated(row.instead), " decides (by a sample request)");
  return [element("h3", "", "Route"), facts];
}

function showRoute(row) {
  details.replaceChildren(element("h2", "", isolated(routeTitle(shownRoute(row)))), ...routeFacts(row));
}

function showColumn(column) {
  const { name, meaning, note } = data.columns[column];
  const tally = { allowed: 0, conditional: 0, denied: 0 };
  for (const row of data.routes) {
    const { cell } = pairAt(row, column);
    if (cell !== null) tally[cell.access] += 1;
  }
  const words = `${tally.allowed} allowed, ${tally.conditional} conditional, ${tally.denied} denied`;
  const parts = [element("h2", "", isolated(name)), element("p", "", `${meaning}.`), element("p", "why", words)];
  if (note) parts.push(element("p", "", note));
  details.replaceChildren(...parts);
}

function showNothing() {
  const text = "Point at a cell, or move to it with the keyboard, to see why it is allowed or denied.";
  details.replaceChildren(element("p", "why", text));
}
