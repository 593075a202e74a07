"use strict";
// Sorting: a click on a head sorts by it, the next click the other way round; failed recipes stay last.
const table = document.getElementById("recipes");
const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => {
  const button = head.querySelector("button");
  button.addEventListener("click", () => {
    const first = button.dataset.first || "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const key = (row) => (row.cells[column] || {}).dataset?.sort;
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return sign * (column ? x - y : x.localeCompare(y, "en", { numeric: true }));
    };
    const failed = (row) => Number("failed" in row.dataset);
    const rows = [...table.tBodies[0].rows].sort((a, b) => failed(a) - failed(b) || compare(a, b));
    table.tBodies[0].append(...rows);
  });
});

// Hovering, tapping or tabbing to a point shows its values and lights up the same recipe everywhere.
const tip = document.getElementById("tip");
const light = (recipe, on) => {
  for (const each of document.querySelectorAll("tr[data-recipe], .point"))
    each.classList.toggle("lit", on && each.dataset.recipe === recipe);
};
const show = (point) => {
  tip.textContent = point.dataset.tip;
  tip.hidden = false;
  const at = (point.querySelector(".dot") || point).getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - tip.offsetWidth / 2), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const above = at.top - tip.offsetHeight - 10;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 4 ? above : at.bottom + 10) + scrollY}px`;
  light(point.dataset.recipe, true);
};
const hide = () => {
  tip.hidden = true;
  light("", false);
};
for (const point of document.querySelectorAll("[data-tip]")) {
  point.addEventListener("pointerenter", () => show(point));
  point.addEventListener("pointerleave", hide);
  point.addEventListener("focus", () => show(point));
  point.addEventListener("blur", hide);
}
for (const row of table.tBodies[0].rows) {
  row.addEventListener("pointerenter", () => light(row.dataset.recipe, true));
  row.addEventListener("pointerleave", () => light("", false));
}

// Filtering: only recipes whose name has all the words that are typed.
const filter = document.getElementById("filter");
const hiddenRows = document.getElementById("hidden-rows");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shows = (recipe) => words.every((word) => recipe.toLowerCase().includes(word));
  const rows = [...table.tBodies[0].rows];
  for (const each of [...rows, ...document.querySelectorAll("details[data-recipe]")])
    each.hidden = !shows(each.dataset.recipe);
  for (const point of document.querySelectorAll(".point[data-recipe]"))
    point.classList.toggle("faint", !shows(point.dataset.recipe));
  const count = rows.filter((row) => row.hidden).length;
  hiddenRows.hidden = !count;
  hiddenRows.textContent = `${rows.length - count} of ${rows.length} recipes shown`;
});

// The rows as a CSV file, made from the copy inside the page.
const download = document.getElementById("download");
download.hidden = false;
download.addEventListener("click", () => {
  const text = document.getElementById("csv").content.textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `${document.title.replace(/[^\w.-]+/g, "_")}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
});

// Two files side by side: their layers by name, in the first one's order.
const layers = JSON.parse(document.getElementById("layers").textContent);
const compared = document.getElementById("compare");
if (compared) {
  const names = Object.keys(layers);
  const [left, right] = ["left", "right"].map((id) => document.getElementById(id));
  for (const select of [left, right])
    for (const name of names) select.add(new Option(name, name));
  const marked = (mark) => table.querySelector(`tr.${mark}`)?.dataset.recipe;
  const first = names.includes(marked("base")) ? marked("base") : names[0];
  const chosen = names.includes(marked("recommended")) ? marked("recommended") : names[1];
  left.value = first;
  right.value = chosen === first ? names.find((name) => name !== first) : chosen;
  const number = (value) => value.toLocaleString("en");
  const cell = (row, text, note) => {
    const td = row.insertCell();
    td.className = "number";
    td.textContent = text;
    if (note) td.appendChild(Object.assign(document.createElement("small"), { textContent: note }));
  };
  const side = (row, layer) =>
    layer
      ? cell(row, number(layer.bytes), layer.encoding && `${layer.encoding}, ${+layer.bits.toPrecision(3)} bits`)
      : cell(row, "–");
  const line = (body, name, one, other) => {
    const row = body.insertRow();
    row.appendChild(Object.assign(document.createElement("th"), { scope: "row", textContent: name }));
    side(row, one);
    side(row, other);
    cell(row, one && other && one.bytes ? `${((100 * other.bytes) / one.bytes).toFixed(1)}` : "–");
  };
  const total = (list) => ({ bytes: list.reduce((sum, layer) => sum + layer.bytes, 0) });
  const draw = () => {
    const [one, other] = [layers[left.value], layers[right.value]];
    const body = document.createElement("tbody");
    const rest = new Map(other.map((layer) => [layer.name, layer]));
    for (const layer of one) {
      line(body, layer.name, layer, rest.get(layer.name));
      rest.delete(layer.name);
    }
    for (const layer of rest.values()) line(body, layer.name, undefined, layer);
    line(body, "all layers", total(one), total(other));
    document.getElementById("pair").tBodies[0].replaceWith(body);
  };
  left.addEventListener("change", draw);
  right.addEventListener("change", draw);
  draw();
  compared.hidden = false;
}
