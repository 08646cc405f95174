// Charts as SVG, in the colours of the page; numbers in the words of sigmaprop.reporting.fmt.

// `digits` significant ones, without trailing zeros, as Python's format "g" writes them.
const general = (value, digits) => {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e").map(Number);
  if (exponent >= -4 && exponent < digits) return String(Number(value.toPrecision(digits)));
  const padded = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${padded}`;
};
const short = (value) => {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e5) return value.toFixed(0);
  const text = size >= 1 || size === 0 ? general(value, 3) : general(value, 2);
  return text.replace("e-0", "e-").replace("e+0", "e+");
};
const vector = (values) => (values.length === 1 ? short(values[0]) : `(${values.map(short).join(", ")})`);
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const powerOfTen = (exponent) => {
  if (exponent === 0 || exponent === 1) return exponent ? "10" : "1";
  const raised = [...String(Math.abs(exponent))].map((digit) => RAISED[digit]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${raised}`;
};

const shape = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

const linearTicks = ([low, high], most = 6) => {
  const rough = (high - low) / most;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * decade).find((one) => one >= rough);
  const count = Math.floor(high / step) - Math.ceil(low / step) + 1;
  return Array.from({ length: count }, (_, i) => Number(((Math.ceil(low / step) + i) * step).toPrecision(12)));
};
const logTicks = ([low, high], every) => {
  const from = Math.ceil(Math.log10(low) - 1e-9);
  const count = Math.floor((Math.log10(high) - from) / every + 1e-9) + 1;
  return Array.from({ length: count }, (_, i) => 10 ** (from + i * every));
};

const MARGIN = { left: 56, right: 10, top: 10, bottom: 38 };

// An axis: data to points of the drawing and back.
const scale = ([low, high], from, to, log) => {
  const [bend, back] = log ? [Math.log10, (v) => 10 ** v] : [(v) => v, (v) => v];
  const [a, b] = [bend(low), bend(high)];
  const at = (value) => Math.max(-1e4, Math.min(1e4, from + ((bend(value) - a) / (b - a)) * (to - from)));
  return { at, of: (point) => back(a + ((point - from) / (to - from)) * (b - a)) };
};

// A fresh drawing in an svg element: its frame, ticks and labels. What `axes` holds: x and y [low,
// high], log "", "x", "y" or "xy", labels, and `top`, a share of the height kept free above.
const chart = (svg, { x, y, log = "", xLabel, yLabel, top = 0, yTicks = true }) => {
  const { width, height } = svg.viewBox.baseVal;
  const low = height - MARGIN.bottom;
  const high = MARGIN.top + top * (low - MARGIN.top);
  const across = scale(x, MARGIN.left, width - MARGIN.right, log.includes("x"));
  const up = scale(y, low, high, log.includes("y"));
  const inside = shape("g", { "clip-path": `url(#${svg.dataset.chart}-inside)` });
  const frame = shape("g", { class: "frame" });
  const clip = shape("clipPath", { id: `${svg.dataset.chart}-inside` });
  const size = { width: width - MARGIN.left - MARGIN.right, height: low - MARGIN.top };
  clip.append(shape("rect", { x: MARGIN.left, y: MARGIN.top, ...size }));
  const word = log.includes("x") ? (v) => powerOfTen(Math.round(Math.log10(v))) : short;
  for (const tick of log.includes("x") ? logTicks(x, 1) : linearTicks(x)) {
    frame.append(shape("path", { d: `M${across.at(tick)} ${low}V${MARGIN.top}` }));
    frame.append(shape("text", { x: across.at(tick), y: low + 15, "text-anchor": "middle" }, word(tick)));
  }
  const upWord = log.includes("y") ? (v) => powerOfTen(Math.round(Math.log10(v))) : short;
  for (const tick of !yTicks ? [] : log.includes("y") ? logTicks(y, 2) : linearTicks(y, 5)) {
    frame.append(shape("path", { d: `M${MARGIN.left} ${up.at(tick)}H${width - MARGIN.right}` }));
    frame.append(shape("text", { x: MARGIN.left - 6, y: up.at(tick) + 4, "text-anchor": "end" }, upWord(tick)));
  }
  frame.append(shape("path", { class: "base", d: `M${MARGIN.left} ${low}H${width - MARGIN.right}` }));
  const middle = (MARGIN.left + width - MARGIN.right) / 2;
  frame.append(shape("text", { x: middle, y: height - 5, "text-anchor": "middle", class: "label" }, xLabel));
  const centre = (high + low) / 2;
  const turned = { x: 13, y: centre, transform: `rotate(-90 13 ${centre})` };
  if (yLabel) frame.append(shape("text", { ...turned, "text-anchor": "middle", class: "label" }, yLabel));
  svg.querySelector(".drawing").replaceChildren(clip, frame, inside);
  const add = (tag, attributes) => inside.append(shape(tag, attributes));
  const route = (points) =>
    points.map(([a, b], i) => `${i ? "L" : "M"}${across.at(a).toFixed(2)} ${up.at(b).toFixed(2)}`).join("");
  return {
    low, high, across, up, add,
    line: (points, kind) => add("path", { class: `line ${kind}`, d: route(points) }),
    dot: ([a, b], radius, kind) => add("circle", { class: kind, cx: across.at(a), cy: up.at(b), r: radius }),
  };
};

// An arrow from a point, (dx, dy) in points of the drawing, up being positive.
const arrow = (drawing, [a, b], [dx, dy], kind, faint = 1) => {
  const [x, y] = [drawing.across.at(a), drawing.up.at(b)];
  const length = Math.hypot(dx, dy);
  const [p, q] = [x + dx, y - dy];
  if (length < 1e-6) return;
  const head = Math.min(5, 0.45 * length) / length;
  const side = (turn) => `${p - head * (dx + turn * dy * 0.6)} ${q + head * (dy - turn * dx * 0.6)}`;
  const d = `M${x} ${y}L${p} ${q}M${side(1)}L${p} ${q}L${side(-1)}`;
  drawing.add("path", { class: `line ${kind}`, d, opacity: faint });
};

// Level lines of g over a grid of a rectangle, by marching squares: segments of two points.
const levelLines = (g, [x, y], levels, size = 44) => {
  const place = (i, j) => [x[0] + ((x[1] - x[0]) * i) / size, y[0] + ((y[1] - y[0]) * j) / size];
  const grid = Array.from({ length: size + 1 }, (_, i) => Array.from({ length: size + 1 }, (_, j) => g(place(i, j))));
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
  const segments = [];
  for (const level of levels) for (let i = 0; i < size; i += 1) for (let j = 0; j < size; j += 1) {
    const cuts = [];
    for (let side = 0; side < 4; side += 1) {
      const [a, b] = [corners[side], corners[(side + 1) % 4]];
      const [p, q] = [grid[i + a[0]][j + a[1]] - level, grid[i + b[0]][j + b[1]] - level];
      if (p > 0 === q > 0) continue;
      const share = p / (p - q);
      cuts.push(place(i + a[0] + share * (b[0] - a[0]), j + a[1] + share * (b[1] - a[1])));
    }
    for (let k = 0; k + 1 < cuts.length; k += 2) segments.push([cuts[k], cuts[k + 1]]);
  }
  return segments;
};

// Pointer on a chart: press anywhere or drag the handle. The handle outlives every drawing.
const draggable = (svg, moved) => {
  let held = false;
  const tell = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    moved(point.x, point.y);
  };
  svg.addEventListener("pointerdown", (event) => { held = true; svg.setPointerCapture(event.pointerId); tell(event); });
  svg.addEventListener("pointermove", (event) => { if (held) tell(event); });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { held = false; });
};
const putHandle = (svg, x, y) => {
  for (const one of svg.querySelectorAll(".handle")) {
    one.setAttribute("cx", x);
    one.setAttribute("cy", y);
  }
};
