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
  // Where the paired ends of a row stand, turned round if the pair is.
  function paired(pair, sign, k) {
    if (!pair || pair[1 + 2 * k] === null) return null;
    return [pair[1 + 2 * k], pair[2 + 2 * k]].map(function (end) { return sign * end / 1000; }).sort(function (x, y) { return x - y; });
  }
  function between(ends) { return "[" + signed(ends[0]) + ", " + signed(ends[1]) + "]"; }
  function row(name, a, b, ends) {
    const made = document.createElement("tr");
    made.append(cell("th", name, "row"));
    [a, b].forEach(function (found) {
      const shown = cell("td", !found || found[0] === null ? "–" : percent(found[0]) + " ");
      if (found && found[1] !== null) shown.append(cell("small", "[" + percent(found[1]) + ", " + percent(found[2]) + "]"));
      made.append(shown);
    });
    const both = a && b && a[0] !== null && b[0] !== null;
    const change = cell("td", both ? signed(b[0] - a[0]) + " " : "–");
    if (both && ends) change.append(cell("small", between(ends)));
    made.append(change);
    return made;
  }
  // Pairs stand in the order of their positions: all of the first entry, then all of the second.
  function pairOf(i, j) {
    const [from, to] = i < j ? [i, j] : [j, i];
    return board.differences && i !== j ? board.differences[from * (2 * entries.length - from - 1) / 2 + to - from - 1] : null;
  }
  function judged(i, j, pair, ends) {
    if (!board.differences) return "The paired intervals of the differences are not on this page.";
    if (i === j) return "";
    const change = entries[j].score[0] - entries[i].score[0];
    const text = "Score, second − first: " + signed(change) + (ends ? " " + between(ends) + ", paired. " : ", without an interval. ");
    const said = pair[0] ? (change > 0 ? read(entries[j]) : read(entries[i])) + " is better" : "The two cannot be told apart";
    return text + said + (board.sample ? " (" + board.sample + ")." : ".");
  }
  function show() {
    const i = one.selectedIndex, j = other.selectedIndex;
    const a = entries[i], b = entries[j];
    document.getElementById("name-a").replaceChildren(link(a));
    document.getElementById("name-b").replaceChildren(link(b));
    const pair = pairOf(i, j), sign = i < j ? 1 : -1;
    document.getElementById("verdict").textContent = judged(i, j, pair, paired(pair, sign, 0));
    document.getElementById("rows").replaceChildren(...board.rows.map(function ([name, ...path], k) {
      const of = function (entry) { return path.reduce(function (found, key) { return found[key]; }, entry); };
      return row(name, of(a), of(b), paired(pair, sign, k));
    }));
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
