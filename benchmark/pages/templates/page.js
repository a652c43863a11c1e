(function () {
  "use strict";
  function value(row, column) {
    const cell = row.cells[column];
    if (!cell) return null;
    const text = (cell.dataset.v || cell.textContent).trim();
    if (text === "" || text.startsWith("–")) return null;
    if (cell.tagName === "TH" || cell.classList.contains("text")) return text;
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  }
  // Rows without a value stay last in both directions.
  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b));
  }
  function sort(table, header, column) {
    const old = header.getAttribute("aria-sort");
    const order = old === "descending" || (old === null && column === 0) ? "ascending" : "descending";
    table.querySelectorAll("th[aria-sort]").forEach(function (th) { th.removeAttribute("aria-sort"); });
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = Array.from(body.rows).filter(function (row) { return row.className !== "family"; });
      rows.sort(function (a, b) { return compare(value(a, column), value(b, column), sign); });
      body.append(...rows);
    }
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    const headers = table.tHead.rows[table.tHead.rows.length - 1].cells;
    Array.from(headers).forEach(function (header, column) {
      if (header.tagName !== "TH") return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(header.firstChild);
      header.prepend(button);
      button.addEventListener("click", function () { sort(table, header, column); });
    });
  });
  function reveal() {
    for (let part = document.getElementById(decodeURIComponent(location.hash.slice(1))); part; part = part.parentElement) {
      if (part.tagName === "DETAILS") part.open = true;
    }
  }
  addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (part) { part.open = true; });
  });
  addEventListener("afterprint", function () {
    closed.forEach(function (part) { part.open = false; });
  });
})();
