(function () {
  "use strict";
  const form = document.getElementById("filters");
  if (!form) return;
  const fields = ["name", "tradition", "task", "metric", "size", "licence", "badge"];
  const tables = Array.from(document.querySelectorAll("table.board"));
  function hidden(header, chosen) {
    const { tradition, task } = header.dataset;
    return Boolean((chosen.tradition && tradition && tradition !== chosen.tradition)
      || (chosen.task && task && task !== chosen.task));
  }
  function wanted(row, chosen) {
    const { name, parameters, licence, badge } = row.dataset;
    return name.toLowerCase().includes(chosen.name.trim().toLowerCase())
      && (!chosen.size || Number(parameters) <= 1e6 * Number(chosen.size))
      && (!chosen.licence || licence === chosen.licence)
      && (!chosen.badge || badge === chosen.badge);
  }
  function apply() {
    const chosen = {};
    fields.forEach(function (field) { chosen[field] = form.elements[field].value; });
    tables.forEach(function (table) {
      const region = table.parentElement;
      region.hidden = Boolean(chosen.metric && region.dataset.metric && region.dataset.metric !== chosen.metric);
      Array.from(table.tHead.rows[0].cells).forEach(function (header, column) {
        const hide = hidden(header, chosen);
        for (const row of table.rows) row.cells[column].hidden = hide;
      });
      // Anchors are what a score is to be seen against: no filter takes them away.
      for (const row of table.tBodies[0].rows) row.hidden = !("anchor" in row.dataset) && !wanted(row, chosen);
    });
    const rows = Array.from(tables[0].tBodies[0].rows);
    const shown = rows.filter(function (row) { return !row.hidden; }).length;
    document.getElementById("shown").textContent = shown + " of " + rows.length + " entries shown; anchors stay.";
    return chosen;
  }
  function remember() {
    const chosen = apply();
    const said = new URLSearchParams();
    fields.forEach(function (field) { if (chosen[field]) said.set(field, chosen[field]); });
    history.replaceState(null, "", "#" + said);
  }
  function recall() {
    const said = new URLSearchParams(location.hash.slice(1));
    fields.forEach(function (field) {
      const control = form.elements[field];
      control.value = said.get(field) || "";
      if (control.selectedIndex === -1) control.value = "";
    });
    apply();
  }
  form.hidden = false;
  form.addEventListener("input", remember);
  form.addEventListener("reset", function () { setTimeout(remember); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  addEventListener("hashchange", recall);
  recall();
})();
