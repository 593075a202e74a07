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
