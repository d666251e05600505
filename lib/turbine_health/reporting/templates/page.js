"use strict";
(() => {
  // Colours of a figure are the light ones; on a dark page each is replaced by its dark counterpart.
  const darkColours = JSON.parse(document.getElementById("dark-colours").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const settings = { responsive: true, displaylogo: false, displayModeBar: false };

  const specification = (plot) => {
    let text = plot.querySelector("script").textContent;
    if (dark.matches) {
      for (const [light, replacement] of Object.entries(darkColours)) text = text.replaceAll(light, replacement);
    }
    return JSON.parse(text);
  };

  const draw = (plot) => {
    const figure = specification(plot);
    Plotly.react(plot.querySelector(".canvas"), figure.data, figure.layout, settings);
    plot.dataset.drawn = "yes";
  };

  const plots = [...document.querySelectorAll("figure.plot")];
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px 0px" });
  plots.forEach((plot) => observer.observe(plot));

  const drawn = () => plots.filter((plot) => plot.dataset.drawn);
  dark.addEventListener("change", () => drawn().forEach(draw));
  window.addEventListener("beforeprint", () => plots.filter((plot) => !plot.dataset.drawn).forEach(draw));

  // A closed section is opened when a link leads into it, and its plots get their width then.
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const section = target && target.closest("details");
    if (section && !section.open) { section.open = true; target.scrollIntoView(); }
  };
  window.addEventListener("hashchange", open);
  open();

  // Tables sort by a click, or Enter, on a column's head.
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
  };
  for (const button of document.querySelectorAll("table.sortable th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const body = head.closest("table").tBodies[0];
      const up = head.getAttribute("aria-sort") !== "ascending";
      head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (a, b) => {
        const [x, y] = [value(a, head.cellIndex), value(b, head.cellIndex)];
        return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
      };
      body.append(...[...body.rows].sort(order));
    });
  }
})();
