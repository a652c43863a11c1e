(function () {
  "use strict";
  const form = document.getElementById("pair");
  if (!form) return;
  const board = JSON.parse(document.getElementById("data").textContent);
  const entries = board.entries;
  if (entries.length < 2) {
    document.getElementById("verdict").textContent = "There are not two complete entries to compare.";
    return;
  }
  const one = form.elements.a, other = form.elements.b;
  const percent = function (value) { return (100 * value).toFixed(1).replace(/^-(?=0\.0$)/, "").replace("-", "−"); };
  const signed = function (value) { const text = percent(value); return value > 0 && text !== "0.0" ? "+" + text : text; };
  const read = function (entry) { return entry.name.replace("/", " "); };
  function cell(tag, text, scope) {
    const made = document.createElement(tag);
    made.textContent = text;
    if (scope) made.scope = scope;
    return made;
  }
  function row(name, a, b) {
    const made = document.createElement("tr");
    made.append(cell("th", name, "row"));
    [a, b].forEach(function (found) {
      const shown = cell("td", !found || found[0] === null ? "–" : percent(found[0]) + " ");
      if (found && found[1] !== null) shown.append(cell("small", "[" + percent(found[1]) + ", " + percent(found[2]) + "]"));
      made.append(shown);
    });
    const both = a && b && a[0] !== null && b[0] !== null;
    made.append(cell("td", both ? signed(b[0] - a[0]) : "–"));
    return made;
  }
  function judged(i, j) {
    const pairs = board.differences;
    if (!pairs) return "The paired interval of this difference is not on this page.";
    if (i === j) return "";
    const [from, to] = i < j ? [i, j] : [j, i];
    const found = pairs.find(function (pair) { return pair[0] === from && pair[1] === to; });
    const sign = i < j ? 1 : -1;
    const change = sign * found[2];
    const ends = found[3] === null ? null : [sign * found[3], sign * found[4]].sort(function (a, b) { return a - b; });
    const text = "Score, second − first: " + signed(change)
      + (ends ? " [" + signed(ends[0]) + ", " + signed(ends[1]) + "], paired. " : ", without an interval. ");
    if (!found[5]) return text + "The two cannot be told apart.";
    return text + (change > 0 ? read(entries[j]) : read(entries[i])) + " is better.";
  }
  function show() {
    const i = one.selectedIndex, j = other.selectedIndex;
    const a = entries[i], b = entries[j];
    document.getElementById("name-a").replaceChildren(link(a));
    document.getElementById("name-b").replaceChildren(link(b));
    document.getElementById("verdict").textContent = judged(i, j);
    const body = document.getElementById("rows");
    body.replaceChildren(row("score, mean over traditions", a.score, b.score));
    board.traditions.forEach(function (name) { body.append(row("score, " + name, a.traditions[name], b.traditions[name])); });
    board.metrics.forEach(function (metric) {
      board.tasks.forEach(function (task) {
        body.append(row(board.titles[metric] + ", " + task, a.tasks[task][metric], b.tasks[task][metric]));
      });
    });
    document.getElementById("side").hidden = false;
  }
  function link(entry) {
    const made = document.createElement("a");
    made.href = "../../entries/" + entry.name.split("/").map(encodeURIComponent).join("/") + "/index.html";
    made.textContent = read(entry);
    return made;
  }
  function remember() {
    show();
    history.replaceState(null, "", "#" + new URLSearchParams({ a: one.value, b: other.value }));
  }
  function recall() {
    const said = new URLSearchParams(location.hash.slice(1));
    one.value = said.get("a") || "";
    if (one.selectedIndex === -1) one.selectedIndex = 0;
    other.value = said.get("b") || "";
    if (other.selectedIndex === -1) other.selectedIndex = one.selectedIndex === 0 ? 1 : 0;
    show();
  }
  [one, other].forEach(function (select) {
    entries.forEach(function (entry) { select.add(new Option(read(entry), entry.name)); });
    select.addEventListener("change", remember);
  });
  document.getElementById("swap").addEventListener("click", function () {
    const kept = one.value;
    one.value = other.value;
    other.value = kept;
    remember();
  });
  form.hidden = false;
  addEventListener("hashchange", recall);
  recall();
})();
