// Two panels: the limit of equation 1, and the Gaussian GAN's flow. Controls write into a state, and
// a state is drawn whole, at most once a frame. Nothing moves but in answer to the reader.

const REPEATS = 200;
const SPREAD_DRAWS = 500;
// What the first chart shows of x_1 and x_2: one unit is as long on both axes.
const ACROSS = [-2, 2];
const UP = [-1.4, 1.4];
const between = ([low, high], count) => Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count);
const SIGMAS = Array.from({ length: 36 }, (_, i) => 10 ** (-3 + i * 0.1));
const ESTIMATE = {
  pathwise: "pathwise estimate", score: "score function estimate",
  baseline: "score function estimate with baseline",
};

// Controls bear data-name; `read` and `show` say how a slider's value stands for the state's.
const KINDS = {
  sigma: { read: (v) => 10 ** v, show: Math.log10 },
  draws: { read: (v) => 2 ** v, show: Math.log2 },
};
const plainly = { read: (v) => v, show: (v) => v };
const kindOf = (name) => KINDS[name] ?? plainly;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// A panel: its state, its controls, and how it is drawn.
const panel = (root, state, draw) => {
  let waiting = false;
  const controls = [...root.querySelectorAll("[data-name]")];
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  const show = () => {
    for (const control of controls) {
      const value = state[control.dataset.name];
      control.value = kindOf(control.dataset.name).show(value);
      if (control.type !== "range") continue;
      control.setAttribute("aria-valuetext", short(value));
      control.parentElement.querySelector("output").textContent = short(value);
    }
  };
  const set = (change) => { Object.assign(state, change); show(); redraw(); };
  for (const control of controls) {
    const { name } = control.dataset;
    control.addEventListener("input", () => {
      set({ [name]: control.type === "range" ? kindOf(name).read(Number(control.value)) : control.value });
    });
  }
  show();
  redraw();
  return set;
};
const tell = (root, name, text) => {
  const place = root.querySelector(`[data-out="${name}"]`);
  if (place.textContent !== text) place.textContent = text;
};
const picture = (root, name) => root.querySelector(`[data-chart="${name}"]`);

// ---- Panel 1

// Points of the first chart, for typical values.
const places = (dim) => between(ACROSS, 20).flatMap((a) => (dim === 1 ? [[a]] : between(UP, 14).map((b) => [a, b])));

// The typical size of a component of grad f around x: the scale of the cloud's picture.
const typicalSlope = (f, x) => {
  const near = places(x.length).filter((place) => Math.hypot(...place.map((one, i) => one - x[i])) < 0.7);
  const total = near.reduce((sum, place) => sum + dot(f.gradient(place), f.gradient(place)), 0);
  return Math.sqrt(total / (near.length * x.length)) || 1;
};

const curve = (g) => between(ACROSS, 240).map((u) => [u, g([u])]);

const drawCurves = (svg, f, x, sigma) => {
  const plain = curve(f.value);
  const heights = plain.map(([, y]) => y);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const pad = 0.14 * (high - low || 1);
  const drawing = chart(svg, { x: ACROSS, y: [low - pad, high + pad], xLabel: "x", yLabel: "f and E f" });
  const half = 0.7;
  const tangent = (value, slope, kind) =>
    drawing.line([-half, half].map((d) => [x[0] + d, value + d * slope]), kind);
  const reach = [-1, 1].map((side) => drawing.across.at(clamp(x[0] + side * sigma, ...ACROSS)));
  const tall = { y: drawing.high, height: drawing.low - drawing.high };
  drawing.add("rect", { class: "reach", x: reach[0], width: reach[1] - reach[0], ...tall });
  drawing.line(plain, "plain");
  drawing.line(curve((u) => f.smoothed(u, sigma)), "smoothed");
  tangent(f.value(x), f.gradient(x)[0], "plain tangent");
  tangent(f.smoothed(x, sigma), f.smoothedGradient(x, sigma)[0], "smoothed tangent");
  drawing.dot([x[0], f.smoothed(x, sigma)], 4, "mark smoothed");
  putHandle(svg, drawing.across.at(x[0]), drawing.up.at(f.value(x)));
  return drawing;
};

const drawLevels = (svg, f, x, sigma) => {
  const drawing = chart(svg, { x: ACROSS, y: UP, xLabel: "x₁", yLabel: "x₂" });
  const heights = places(2).map(f.value).sort((a, b) => a - b);
  const shares = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85];
  const levels = new Set(shares.map((share) => heights[Math.floor(share * heights.length)] + 1e-9));
  const lines = (g, kind) => {
    const point = ([a, b]) => `${drawing.across.at(a).toFixed(1)} ${drawing.up.at(b).toFixed(1)}`;
    const pieces = levelLines(g, [ACROSS, UP], levels).map(([from, to]) => `M${point(from)}L${point(to)}`);
    drawing.add("path", { class: `line thin ${kind}`, d: pieces.join("") });
  };
  const r = drawing.across.at(sigma) - drawing.across.at(0);
  drawing.add("circle", { class: "reach", cx: drawing.across.at(x[0]), cy: drawing.up.at(x[1]), r });
  lines(f.value, "plain");
  lines((u) => f.smoothed(u, sigma), "smoothed");
  const [plain, smoothed] = [f.gradient(x), f.smoothedGradient(x, sigma)];
  const size = 55 / Math.max(Math.hypot(...plain), Math.hypot(...smoothed), 1e-12);
  arrow(drawing, x, plain.map((one) => one * size), "plain bold");
  arrow(drawing, x, smoothed.map((one) => one * size), "smoothed bold");
  putHandle(svg, drawing.across.at(x[0]), drawing.up.at(x[1]));
  return drawing;
};

// Estimates as dots, their first component as a histogram above; in one coordinate the height of a
// dot is the number of its repeat.
const drawCloud = (svg, found, plain, smoothed, typical, kind) => {
  const dim = plain.length;
  const apart = Math.max(...plain.map((one, i) => Math.abs(one - smoothed[i])));
  const half = Math.max(1.2 * typical, 1.25 * apart);
  const around = (centre) => [centre - half, centre + half];
  const y = dim === 1 ? [0, REPEATS] : around(smoothed[1]);
  const drawing = chart(svg, {
    x: around(smoothed[0]), y, top: 0.34, yTicks: dim === 2,
    xLabel: dim === 1 ? "estimate of the gradient" : "first component", yLabel: dim === 1 ? "" : "second component",
  });
  const bins = new Array(41).fill(0);
  let outside = 0;
  found.forEach((estimate, repeat) => {
    const bin = Math.floor(((estimate[0] - smoothed[0] + half) / (2 * half)) * bins.length);
    const inside = estimate.every((one, i) => Math.abs(one - smoothed[i]) <= half);
    if (bin >= 0 && bin < bins.length) bins[bin] += 1;
    if (inside) drawing.dot([estimate[0], dim === 1 ? repeat + 0.5 : estimate[1]], 2.2, `cloud ${kind}`);
    else outside += 1;
  });
  const wide = (drawing.across.at(smoothed[0] + half) - drawing.across.at(smoothed[0] - half)) / bins.length;
  const tallest = Math.max(...bins, 1);
  bins.forEach((count, i) => {
    const tall = (count / tallest) * (drawing.high - MARGIN.top - 8);
    const place = { x: MARGIN.left + i * wide + 0.5, y: drawing.high - 6 - tall };
    drawing.add("rect", { class: `bar ${kind}`, ...place, width: wide - 1, height: tall });
  });
  for (const [truth, role] of [[plain, "plain"], [smoothed, "smoothed"]]) {
    const x = drawing.across.at(truth[0]);
    drawing.add("path", { class: `line truth ${role}`, d: `M${x} ${MARGIN.top}V${drawing.low}` });
    if (dim === 1) continue;
    const y = drawing.up.at(truth[1]);
    drawing.add("path", { class: `line truth ${role}`, d: `M${MARGIN.left} ${y}H1000` });
  }
  return outside;
};

// Bias of grad f, and the spread of each estimator's mean of N draws, against sigma.
const drawAgainstSigma = (svg, f, x, spreads, { sigma, draws, estimator, biasNow, spreadNow }) => {
  const drawing = chart(svg, { x: [1e-3, 3.2], y: [1e-7, 1e4], log: "xy", xLabel: "σ", yLabel: "bias and spread" });
  drawing.add("path", { class: "now", d: `M${drawing.across.at(sigma)} ${MARGIN.top}V${drawing.low}` });
  const positive = (points) => points.filter(([, y]) => y > 1e-12);
  const bias = SIGMAS.map((one) => [one, biasOf(f, x, one)]);
  drawing.line(positive(bias), "plain");
  for (const [name, found] of Object.entries(spreads)) {
    const points = positive(SIGMAS.map((one, i) => [one, found[i] / Math.sqrt(draws)]));
    if (points.length) drawing.line(points, `${name}${name === estimator ? " bold" : ""}`);
  }
  if (biasNow > 1e-12) drawing.dot([sigma, biasNow], 4, "mark plain");
  if (spreadNow > 1e-12) drawing.dot([sigma, spreadNow], 4, `mark ${estimator}`);
};
const biasOf = (f, x, sigma) => {
  const smoothed = f.smoothedGradient(x, sigma);
  const bias = Math.hypot(...f.gradient(x).map((one, i) => one - smoothed[i]));
  return bias > 1e-12 * Math.hypot(...smoothed) ? bias : 0;
};

// The spread of one draw at each sigma. The same draws serve all, so that the lines are smooth.
const spreadsOf = (f, x, stream) =>
  Object.fromEntries(Object.keys(ESTIMATORS).map((name) => [
    name, SIGMAS.map((sigma) => spreadOf(estimates(name, f, x, sigma, SPREAD_DRAWS, 1, stream))),
  ]));

const sentence = ({ sigma, draws, estimator, biasNow, spreadNow, outside }) => {
  const bias = biasNow ? `the bias of ∇f(x) is ${short(biasNow)}` : "∇f(x) has no bias";
  const scatter = spreadNow > 1e-12
    ? `a ${ESTIMATE[estimator]} from ${draws} draw${draws > 1 ? "s" : ""} scatters by ${short(spreadNow)}`
    : `the ${ESTIMATE[estimator]} does not scatter`;
  const gone = outside ? ` ${outside} of the ${REPEATS} estimates lie outside the picture.` : "";
  return `At σ = ${short(sigma)} ${bias}, and ${scatter}.${gone}`;
};

const limitPanel = (root) => {
  const stream = normals(20140610, REPEATS * 256 * 2);
  const state = { f: "sine", dim: "1", estimator: "pathwise", sigma: 0.8, draws: 4, x1: -1.03, x2: 0.89 };
  const choose = root.querySelector('[data-name="f"]');
  for (const [name, { formula }] of Object.entries(OBJECTIVES)) choose.append(new Option(`${name}: ${formula}`, name));
  const kept = { key: "", spreads: null };
  let last = null;
  const spreadsAt = (f, x) => {
    const key = [state.f, ...x].join();
    if (kept.key !== key) Object.assign(kept, { key, spreads: spreadsOf(f, x, stream) });
    return kept.spreads;
  };
  const draw = () => {
    const { sigma, draws, estimator } = state;
    const x = [state.x1, state.x2].slice(0, Number(state.dim));
    const f = objective(state.f, x.length);
    const [value, mean, plain, smoothed] = values({ f: state.f, x, sigma });
    const found = estimates(estimator, f, x, sigma, REPEATS, draws, stream);
    last = (x.length === 1 ? drawCurves : drawLevels)(picture(root, "function"), f, x, sigma);
    const outside = drawCloud(picture(root, "cloud"), found, plain, smoothed, typicalSlope(f, x), estimator);
    const now = { ...state, biasNow: biasOf(f, x, sigma), spreadNow: spreadOf(found), outside };
    drawAgainstSigma(picture(root, "lines"), f, x, spreadsAt(f, x), now);
    const scalars = { value: [value], mean: [mean], bias: [now.biasNow], spread: [now.spreadNow] };
    const shown = { ...scalars, plain, smoothed, estimate: meanOf(found) };
    for (const [name, numbers] of Object.entries(shown)) tell(root, name, vector(numbers));
    tell(root, "sentence", sentence(now));
    tell(root, "note", `f(x) = ${OBJECTIVES[state.f].formula}. ${OBJECTIVES[state.f].note}`);
  };
  const set = panel(root, state, draw);
  choose.addEventListener("input", () => {
    const { start, dims } = OBJECTIVES[state.f];
    const dim = dims ? String(dims[0]) : state.dim;
    root.querySelector('[data-name="dim"]').disabled = Boolean(dims);
    set({ x1: start[0], x2: start[1], dim });
    showSecond(root, dim);
  });
  root.querySelector('[data-name="dim"]').addEventListener("input", () => showSecond(root, state.dim));
  showSecond(root, state.dim);
  draggable(picture(root, "function"), (a, b) => {
    const place = (axis, point, range) => Math.round(100 * clamp(axis.of(point), ...range)) / 100;
    set({ x1: place(last.across, a, ACROSS), ...(state.dim === "2" ? { x2: place(last.up, b, UP) } : {}) });
  });
  root.querySelector("button").addEventListener("click", () => fall(state, set));
};
const showSecond = (root, dim) => {
  root.querySelector('[data-name="x2"]').parentElement.hidden = dim === "1";
  for (const one of root.querySelectorAll("[data-dim]")) one.hidden = one.dataset.dim !== dim;
};

// Lets sigma fall from 3 to .001 in four seconds, until the reader moves it; at once where the reader
// prefers less motion.
const fall = (state, set) => {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return set({ sigma: 1e-3 });
  const begun = performance.now();
  let own = state.sigma;
  const frame = (now) => {
    if (state.sigma !== own) return;
    const share = clamp((now - begun) / 4000, 0, 1);
    own = 10 ** (0.48 - 3.48 * share);
    set({ sigma: own });
    if (share < 1) requestAnimationFrame(frame);
  };
  return requestAnimationFrame(frame);
};

// ---- Panel 2

const EDGE = 1.6;
const optionsOf = ({ placement, loss, learns }) => ({
  s: 1, shared: placement === "shared", minimax: loss === "minimax",
  fixed: learns.startsWith("fixed"), log: learns.endsWith("log"),
});

// Arrows show the direction alone; the fainter, the slower.
const drawField = (drawing, options) => {
  for (let v = 0.1; v < EDGE; v += 0.1) for (let sigma = 0.1; sigma < EDGE; sigma += 0.1) {
    const move = flow({ ...options, v, sigma });
    const speed = Math.hypot(...move);
    if (speed < 1e-9) continue;
    const faint = clamp(0.3 + 0.35 * Math.log10(1 + 30 * speed), 0.3, 1);
    arrow(drawing, [v, sigma], move.map((one) => (one / speed) * 13), "field", faint);
  }
};

const drawFlow = (svg, state, options, points) => {
  const labels = { xLabel: "v, the spread that the mean makes", yLabel: "σ, the spread of the noise" };
  const drawing = chart(svg, { x: [0, EDGE], y: [0, EDGE], ...labels });
  drawField(drawing, options);
  const quarter = between([0, Math.PI / 2], 90).map((angle) => [Math.cos(angle), Math.sin(angle)]);
  drawing.line(options.shared ? [[1, 0], [1, EDGE]] : quarter, "ridge");
  drawing.line(points.map(([v, sigma]) => [v, sigma]), "path");
  let next = 1;
  for (const [v, sigma, time] of points) {
    if (time < next) continue;
    drawing.dot([v, sigma], 3.4, "tick");
    next = Math.floor(time) + 1;
  }
  const [v, sigma] = points[points.length - 1];
  drawing.dot([v, sigma], 5, "end");
  putHandle(svg, drawing.across.at(state.v), drawing.up.at(state.sigma0));
  return drawing;
};

const verdictOf = (options, state, [, sigma]) => {
  if (!options.fixed) {
    const kept = options.log ? "log v + 1/(2σ²)" : "the ratio σ/v";
    if (sigma === Infinity)
      return `On the way ${kept} is kept. No noise level ends this path: σ grows without end.`;
    const where = options.shared ? "at v = s, where every σ is at rest" : "on the ridge v² + σ² = s²";
    const decided = "so the start decides where the path ends";
    return `On the way ${kept} is kept, ${decided} ${where}: here at σ = ${short(sigma)}.`;
  }
  if (!options.shared) {
    const slowly = options.log ? ", but ever slower, as 1/√time" : "";
    return sigma > 0
      ? `With v held, only one σ completes the spread of the data: √(s² − v²) = ${short(sigma)}, from every start.`
      : `With v held at s or above, the mean alone is as wide as the data: σ falls to 0 from every start${slowly}.`;
  }
  const { v } = state;
  const way = v < 1 ? "σ rises without end" : v > 1 ? "σ falls to 0" : "every σ is at rest";
  return `With v held and noise on both sides, only the sign of s − v counts: ${way}.`;
};

const gamePanel = (root) => {
  const state = { learns: "both", placement: "model", loss: "ns", v: 0.3, sigma0: 0.2 };
  let last = null;
  const draw = () => {
    const options = optionsOf(state);
    const start = { ...options, v: state.v, sigma: state.sigma0 };
    const points = path(start, 400, EDGE);
    last = drawFlow(picture(root, "flow"), state, options, points);
    const [v, sigma, time] = points[points.length - 1];
    tell(root, "start", vector([state.v, state.sigma0]));
    tell(root, "end", `${vector([v, sigma])} after time ${short(time)}`);
    tell(root, "theory", vector(ending(start)));
    tell(root, "sum", short(v * v + sigma * sigma));
    tell(root, "verdict", verdictOf(options, state, ending(start)));
  };
  const set = panel(root, state, draw);
  draggable(picture(root, "flow"), (a, b) => {
    const place = (axis, point) => Math.round(100 * clamp(axis.of(point), 0.02, EDGE - 0.05)) / 100;
    set({ v: place(last.across, a), sigma0: place(last.up, b) });
  });
};

for (const root of document.querySelectorAll('.explorable [data-panel="limit"]')) limitPanel(root);
for (const root of document.querySelectorAll('.explorable [data-panel="game"]')) gamePanel(root);
window.sigmaprop_explorable = { values, flow, ending, path, short, estimates, normals, objective, meanOf, spreadOf };
