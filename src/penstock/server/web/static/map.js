// A map of cells is one tab stop a row, its name; the arrow keys lead from there through the cells, as in a table.
(() => {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -1e6], End: [0, 1e6] };
  const links = (row) => [...row.querySelectorAll("a")];
  document.addEventListener("keydown", (event) => {
    const now = event.target.closest?.("svg.heat g.row > a");
    const step = steps[event.key];
    if (!now || !step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const rows = [...now.closest("svg").querySelectorAll("g.row")];
    const hold = (place, count) => Math.min(Math.max(place, 0), count - 1);
    const row = rows[hold(rows.indexOf(now.parentElement) + step[0], rows.length)];
    const cells = links(row);
    const place = links(now.parentElement).indexOf(now) + step[1];
    cells[hold(place, cells.length)].focus();
  });
})();
