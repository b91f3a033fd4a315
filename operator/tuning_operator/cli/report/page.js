"use strict";
(async () => {
  const packed = document.getElementById("plotly");
  if (!packed) return;
  const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
  packed.remove();
  const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  const script = document.createElement("script");
  script.textContent = text;
  document.head.append(script);
  for (const source of document.querySelectorAll("script.figure")) {
    const figure = JSON.parse(source.textContent);
    Plotly.newPlot(source.previousElementSibling, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  }
})().catch((error) => {
  for (const plot of document.querySelectorAll(".plot")) plot.textContent = `This browser cannot draw the plots: ${error}`;
});
for (const head of document.querySelectorAll(".trials thead th")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const sign = head.dataset.sorted === "1" ? -1 : 1;
    head.dataset.sorted = String(sign);
    const value = (row) => JSON.parse(row.cells[column].dataset.sort);
    const order = (a, b) => {
      if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
      return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    };
    body.append(...[...body.rows].sort((a, b) => order(value(a), value(b))));
  });
}
