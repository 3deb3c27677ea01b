// Two comforts that the page also lives without: tables sorted by a click, and counts named under the confusion matrix.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // undefined values stay last either way
        const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return sign * difference;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
const matrix = document.querySelector("svg.matrix");
if (matrix) {
  const { names, counts, left, cell } = JSON.parse(document.getElementById("matrix-counts").textContent);
  const output = document.getElementById("matrix-cell");
  const cursor = matrix.querySelector(".cursor");
  const point = (event) => {
    const box = matrix.getBoundingClientRect();
    const scale = matrix.viewBox.baseVal.width / box.width;
    const column = Math.floor(((event.clientX - box.left) * scale - left) / cell);
    const row = Math.floor(((event.clientY - box.top) * scale - left) / cell);
    if (row < 0 || column < 0 || row >= names.length || column >= names.length) return;
    const total = counts[row].reduce((sum, count) => sum + count, 0);
    const share = total ? ` (${((100 * counts[row][column]) / total).toFixed(1)} %)` : "";
    const verdict = row === column ? "recognised as such" : `taken for ${names[column]}`;
    output.textContent = `${names[row]} ${verdict}: ${counts[row][column].toLocaleString("en")} of ${total.toLocaleString("en")}${share}`;
    cursor.setAttribute("x", left + column * cell);
    cursor.setAttribute("y", left + row * cell);
    cursor.setAttribute("width", cell);
    cursor.setAttribute("height", cell);
  };
  matrix.addEventListener("pointermove", point);
  matrix.addEventListener("pointerdown", point);
}
