// Values under the pointer, legends that hide curves, tables that sort and filter, slides.
(() => {
  "use strict";
  const make = (tag, more) => Object.assign(document.createElement(tag), more);
  const brief = (v) => (v === null ? "–" : String(Number(v.toPrecision(4))));

  // A chart: panels with axes in points of the drawing, curves with their points.
  const place = (axis, value, from, size, up) => {
    const f = axis[2] ? Math.log10 : (v) => v;
    const share = (f(value) - f(axis[0])) / (f(axis[1]) - f(axis[0]));
    return from + size * (up ? 1 - share : share);
  };
  const hover = (sheet, data) => {
    const svg = sheet.querySelector("svg");
    const figure = sheet.closest("figure");
    const tip = make("div", { className: "tip", hidden: true });
    figure.append(tip);
    const off = new Set();
    sheet.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = data.w / box.width;
      const x = (event.clientX - box.left) * scale;
      const y = (event.clientY - box.top) * scale;
      let best = null;
      let least = 16 * Math.max(1, scale);
      for (const panel of data.p) {
        const [left, top, wide, tall] = panel.b;
        if (x < left - 5 || x > left + wide + 5 || y < top - 5 || y > top + tall + 5) continue;
        for (const curve of panel.c) {
          if (off.has(curve.k)) continue;
          curve.x.forEach((value, i) => {
            if (value === null || curve.y[i] === null) return;
            const dx = place(panel.x, value, left, wide, false) - x;
            const dy = place(panel.y, curve.y[i], top, tall, true) - y;
            const apart = Math.hypot(dx, dy);
            if (apart < least) [least, best] = [apart, [curve, i]];
          });
        }
      }
      tip.hidden = best === null;
      if (best === null) return;
      const [curve, i] = best;
      const value = curve.h ? curve.x[i] : curve.y[i];
      const bar = curve.e[i] ? ` ± ${brief(2 * curve.e[i])}` : "";
      tip.textContent = `${curve.n}${curve.h ? "" : ` at ${brief(curve.x[i])}`}: ${brief(value)}${bar}`;
      const frame = figure.getBoundingClientRect();
      const from = Math.min(event.clientX - frame.left + 12, frame.width - tip.offsetWidth - 4);
      tip.style.left = `${Math.max(0, from)}px`;
      tip.style.top = `${event.clientY - frame.top - 34}px`;
    });
    sheet.addEventListener("pointerleave", () => { tip.hidden = true; });
    for (const entry of svg.querySelectorAll('[id$="-legend"]')) {
      const stem = entry.id.slice(0, -"legend".length);
      const key = stem.slice(figure.id.length + 1, -1);
      entry.classList.add("toggle");
      entry.setAttribute("tabindex", "0");
      entry.setAttribute("role", "button");
      const toggle = () => {
        const gone = !off.has(key);
        if (gone) off.add(key); else off.delete(key);
        entry.classList.toggle("off", gone);
        for (const curve of svg.querySelectorAll(`[id^="${stem}"]`)) {
          if (curve !== entry) curve.classList.toggle("gone", gone);
        }
      };
      entry.addEventListener("click", toggle);
      entry.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); toggle(); } });
    }
  };
  for (const script of document.querySelectorAll("script.hover")) {
    hover(script.closest("figure").querySelector(".sheet"), JSON.parse(script.textContent));
  }
  for (const sheet of document.querySelectorAll(".sheet")) {
    if (!sheet.nextElementSibling?.matches(".sheet")) sheet.after(make("p", { className: "cue", textContent: "⇄ The chart is wider than the screen: scroll it sideways." }));
  }

  // Tables: a click on a heading sorts, words in the field filter.
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2) continue;
    table.tHead.querySelectorAll("th").forEach((heading, column) => {
      const button = make("button", { type: "button", textContent: heading.textContent, title: "sort" });
      heading.replaceChildren(button);
      let up = false;
      button.addEventListener("click", () => {
        up = !up;
        const key = (row) => {
          const cell = row.cells[column];
          const value = Number.parseFloat(cell.dataset.value ?? cell.textContent);
          return Number.isNaN(value) ? cell.textContent : value;
        };
        rows.sort((a, b) => {
          const [p, q] = [key(a), key(b)];
          const order = typeof p === typeof q ? (p < q ? -1 : p > q ? 1 : 0) : typeof p === "number" ? -1 : 1;
          return up ? order : -order;
        });
        body.append(...rows);
        for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      });
    });
    if (rows.length < 6) continue;
    const field = make("input", { className: "filter", type: "search", placeholder: "filter rows" });
    field.setAttribute("aria-label", "filter rows");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    });
    table.parentElement.before(field);
  }

  // Slides: one picture at a time.
  for (const slides of document.querySelectorAll(".slides")) {
    const pictures = [...slides.querySelectorAll(".sheet")];
    const range = slides.querySelector("input");
    range.addEventListener("input", () => {
      pictures.forEach((picture, i) => { picture.hidden = i !== Number(range.value); });
      slides.querySelector("output").textContent = pictures[Number(range.value)].dataset.moment;
    });
  }

  // A link into a folded part opens it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
})();
