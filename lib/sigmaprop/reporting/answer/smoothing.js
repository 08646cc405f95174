// Functions f of one or two coordinates whose smoothed value E f(x + sigma eps), eps ~ N(0, I), and
// its gradient have closed forms. They are those of sigmaprop.objectives, with the same constants.

// The normal distribution. erfc is a series near 0 and a continued fraction (Lentz) beyond, so that
// its tails keep all of their digits.
const density = (z) => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
const erfSeries = (x) => {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
};
const erfcFraction = (x) => {
  let value = 0;
  for (let n = 80; n > 0; n -= 1) value = n / 2 / (x + value);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + value);
};
const erf = (x) => (Math.abs(x) < 2 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(Math.abs(x))));
const erfc = (x) => (x < -2 ? 2 - erfc(-x) : x < 2 ? 1 - erfSeries(x) : erfcFraction(x));
const cumulative = (z) => (z === 0 ? 0.5 : 0.5 * erfc(-z * Math.SQRT1_2));

// A shape is a function g of one number u with its slope, and, for u ~ N(m, s^2), E g and E g'.
const power = {
  2: {
    value: (u) => u * u, slope: (u) => 2 * u,
    mean: (m, s) => m * m + s * s, meanSlope: (m) => 2 * m,
  },
  3: {
    value: (u) => u ** 3, slope: (u) => 3 * u * u,
    mean: (m, s) => m ** 3 + 3 * m * s * s, meanSlope: (m, s) => 3 * (m * m + s * s),
  },
  4: {
    value: (u) => u ** 4, slope: (u) => 4 * u ** 3,
    mean: (m, s) => m ** 4 + 6 * m * m * s * s + 3 * s ** 4,
    meanSlope: (m, s) => 4 * m ** 3 + 12 * m * s * s,
  },
};
const line = { value: (u) => u, slope: () => 1, mean: (m) => m, meanSlope: () => 1 };
const wave = (k, phase) => ({
  value: (u) => Math.sin(k * u + phase),
  slope: (u) => k * Math.cos(k * u + phase),
  mean: (m, s) => Math.exp(-0.5 * (k * s) ** 2) * Math.sin(k * m + phase),
  meanSlope: (m, s) => k * Math.exp(-0.5 * (k * s) ** 2) * Math.cos(k * m + phase),
});
const cosine = (k) => wave(k, Math.PI / 2);
const growth = {
  value: Math.exp, slope: Math.exp,
  mean: (m, s) => Math.exp(m + 0.5 * s * s), meanSlope: (m, s) => Math.exp(m + 0.5 * s * s),
};
const rectifier = {
  value: (u) => Math.max(u, 0),
  slope: (u) => (u > 0 ? 1 : 0),
  mean: (m, s) => m * cumulative(m / s) + s * density(m / s),
  meanSlope: (m, s) => cumulative(m / s),
};
const fold = {
  value: Math.abs,
  slope: Math.sign,
  mean: (m, s) => m * erf((m / s) * Math.SQRT1_2) + 2 * s * density(m / s),
  meanSlope: (m, s) => erf((m / s) * Math.SQRT1_2),
};
const jump = {
  value: (u) => (u > 0 ? 1 : 0), slope: () => 0,
  mean: (m, s) => cumulative(m / s), meanSlope: (m, s) => density(m / s) / s,
};

// A term is [weight, a, shape]: weight * shape(a . x). Along a, sigma eps has the std sigma |a|.
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const each = (dim, term) => Array.from({ length: dim }, (_, i) => term(i));
const axis = (dim, i) => each(dim, (j) => (i === j ? 1 : 0));
const gradientOf = (terms, x, slope) => {
  const sum = x.map(() => 0);
  for (const [weight, a, shape] of terms) {
    const size = weight * slope(shape, dot(a, x), Math.hypot(...a));
    for (let i = 0; i < sum.length; i += 1) sum[i] += size * a[i];
  }
  return sum;
};
const sumOf = (constant, terms) => ({
  value: (x) => terms.reduce((sum, [weight, a, shape]) => sum + weight * shape.value(dot(a, x)), constant),
  gradient: (x) => gradientOf(terms, x, (shape, u) => shape.slope(u)),
  smoothed: (x, sigma) =>
    terms.reduce((sum, [w, a, shape]) => sum + w * shape.mean(dot(a, x), sigma * Math.hypot(...a)), constant),
  smoothedGradient: (x, sigma) =>
    gradientOf(terms, x, (shape, u, length) => shape.meanSlope(u, sigma * length)),
});
const separate = (dim, weight, shape) => each(dim, (i) => [weight, axis(dim, i), shape]);

const bump = {
  value: (x) => Math.exp(-0.5 * dot(x, x)),
  gradient: (x) => x.map((one) => -one * bump.value(x)),
  smoothed: (x, sigma) => {
    const wide = 1 + sigma * sigma;
    return wide ** (-x.length / 2) * Math.exp((-0.5 * dot(x, x)) / wide);
  },
  smoothedGradient: (x, sigma) => x.map((one) => (-one / (1 + sigma * sigma)) * bump.smoothed(x, sigma)),
};
const valley = {
  value: ([a, b]) => 100 * (b - a * a) ** 2 + (1 - a) ** 2,
  gradient: ([a, b]) => [-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)],
  smoothed: ([a, b], sigma) => {
    const v = sigma * sigma;
    return 100 * ((b - a * a - v) ** 2 + v + 4 * a * a * v + 2 * v * v) + (1 - a) ** 2 + v;
  },
  smoothedGradient: ([a, b], sigma) => {
    const bend = b - a * a - sigma * sigma;
    return [100 * (-4 * a * bend + 8 * a * sigma * sigma) - 2 * (1 - a), 200 * bend];
  },
};

// The library's constants: a unit vector of each f, weights c, frequencies k, and the matrix A of the
// quadratic in two coordinates, whose x'Ax/2 is a sum of squares of x_1, x_2 and x_1 + x_2.
const SINE = [0.8175485006049078, -0.5758597478194384];
const CUBIC = [0.993170325006127, -0.11667349967847895];
const EXPONENTIAL = [-0.9439991561061815, -0.3299478644737941];
const QUADRATIC = [0.7095431076655684, 0.7046620313059925];
const A = { first: 2.9239876453911915, second: 8.076012354608809, both: -3.689737165287357 };
const CUBES = [0.4776582107912906, 0.46504353311421537];
const FREQUENCIES = [0.8017440655125044, 0.8443732853743057];
const WEIGHTS = [0.5509835605072327, 1.4196835793694746];
const unit = (dim, two, sign = 1) => (dim === 1 ? [sign] : two);
const bowl = (dim) =>
  dim === 1
    ? [[0.5, [1], power[2]]]
    : [
        [(A.first - A.both) / 2, [1, 0], power[2]],
        [(A.second - A.both) / 2, [0, 1], power[2]],
        [A.both / 2, [1, 1], power[2]],
      ];

const SMOOTH = "f is smooth: the bias falls as σ², the spread of the pathwise estimate as σ.";
const KINK =
  "f has a kink at 0. Away from it equation 1 holds, and the bias vanishes faster than any power of σ;" +
  " the pathwise line ends where no draw reaches the kink. At 0 itself f has no gradient.";

// name -> formula, what to notice, the point to begin at, and f for a number of coordinates.
const OBJECTIVES = {
  sine: {
    formula: "sin(a·x + 0.7) + 0.2 Σ cos xᵢ + 2, |a| = 1", note: SMOOTH, start: [-1.03, 0.89],
    make: (dim) => sumOf(2, [[1, unit(dim, SINE), wave(1, 0.7)], ...separate(dim, 0.2, cosine(1))]),
  },
  quadratic: {
    formula: "x′Ax/2 + b·x + 1", start: [-0.74, 1.09],
    note: "The gradient of a quadratic is linear: smoothing does not change it, and the bias is 0 at every σ.",
    make: (dim) => sumOf(1, [...bowl(dim), [1, unit(dim, QUADRATIC), line]]),
  },
  cubic: {
    formula: "(a·x)³ + Σ cᵢ xᵢ³ + 3, |a| = 1", note: SMOOTH, start: [0.8, 0.6],
    make: (dim) =>
      sumOf(3, [
        [1, unit(dim, CUBIC), power[3]],
        ...each(dim, (i) => [CUBES[i], axis(dim, i), power[3]]),
      ]),
  },
  quartic: {
    formula: "Σ xᵢ⁴", note: SMOOTH, start: [-0.54, -0.9],
    make: (dim) => sumOf(0, separate(dim, 1, power[4])),
  },
  cosine: {
    formula: "Σ cos kᵢxᵢ", note: SMOOTH, start: [0.81, 0.89],
    make: (dim) => sumOf(0, each(dim, (i) => [1, axis(dim, i), cosine(FREQUENCIES[i])])),
  },
  exponential: {
    formula: "exp(a·x), |a| = 1", note: SMOOTH, start: [-0.58, 0.62],
    make: (dim) => sumOf(0, [[1, unit(dim, EXPONENTIAL, -1), growth]]),
  },
  gaussian_bump: {
    formula: "exp(−|x|²/2)", note: SMOOTH, start: [0.8, -0.4],
    make: () => bump,
  },
  styblinski_tang: {
    formula: "Σ (xᵢ⁴ − 16 xᵢ² + 5 xᵢ)/2", note: SMOOTH, start: [0.86, 0.55],
    make: (dim) =>
      sumOf(0, [
        ...separate(dim, 0.5, power[4]), ...separate(dim, -8, power[2]), ...separate(dim, 2.5, line),
      ]),
  },
  rastrigin: {
    formula: "Σ xᵢ² + 10 − 10 cos 2πxᵢ", start: [0.3, -0.33],
    note: "Waves of length 1: once σ passes about 0.3, the smoothed function is the bowl without them.",
    make: (dim) =>
      sumOf(10 * dim, [...separate(dim, 1, power[2]), ...separate(dim, -10, cosine(2 * Math.PI))]),
  },
  rosenbrock: {
    formula: "100 (x₂ − x₁²)² + (1 − x₁)²", note: SMOOTH, start: [0.92, 1.06], dims: [2],
    make: () => valley,
  },
  absolute: {
    formula: "Σ |xᵢ|", note: KINK, start: [0.3, -0.3],
    make: (dim) => sumOf(0, separate(dim, 1, fold)),
  },
  relu: {
    formula: "Σ cᵢ max(xᵢ, 0)", note: KINK, start: [0.3, -0.3],
    make: (dim) => sumOf(0, each(dim, (i) => [WEIGHTS[i], axis(dim, i), rectifier])),
  },
  step: {
    formula: "Σ 1[xᵢ > 0]", start: [0.3, -0.3],
    note:
      "f has a jump: its gradient is 0 elsewhere, so the pathwise estimate is 0 at every σ and misses" +
      " the gradient of E f. The score function sees the jump.",
    make: (dim) => sumOf(0, separate(dim, 1, jump)),
  },
};
const objective = (name, dim) => OBJECTIVES[name].make(dim);

// [f, E f, grad f, grad E f] at x, a number or an array of coordinates; gradients are like x.
const values = ({ f, x, sigma }) => {
  const point = [x].flat();
  const chosen = objective(f, point.length);
  const like = (gradient) => (Array.isArray(x) ? gradient : gradient[0]);
  return [
    chosen.value(point), chosen.smoothed(point, sigma),
    like(chosen.gradient(point)), like(chosen.smoothedGradient(point, sigma)),
  ];
};

// Standard normal numbers from a seed (mulberry32, Box and Muller): the same at each load.
const normals = (seed, count) => {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return Float64Array.from({ length: count }, () =>
    Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
};

// What one draw eps says of grad E f(x + sigma eps), by estimator.
const ESTIMATORS = {
  pathwise: (f, x, sigma, eps) => f.gradient(x.map((one, i) => one + sigma * eps[i])),
  score: (f, x, sigma, eps) => {
    const value = f.value(x.map((one, i) => one + sigma * eps[i]));
    return eps.map((one) => (value * one) / sigma);
  },
  baseline: (f, x, sigma, eps) => {
    const change = f.value(x.map((one, i) => one + sigma * eps[i])) - f.value(x);
    return eps.map((one) => (change * one) / sigma);
  },
};

// Estimates of the gradient, each the mean of so many draws, from a stream of normals.
const estimates = (name, f, x, sigma, repeats, draws, stream) =>
  Array.from({ length: repeats }, (_, repeat) => {
    const sum = x.map(() => 0);
    for (let draw = 0; draw < draws; draw += 1) {
      const from = (repeat * draws + draw) * x.length;
      const one = ESTIMATORS[name](f, x, sigma, Array.from(stream.subarray(from, from + x.length)));
      one.forEach((value, i) => { sum[i] += value / draws; });
    }
    return sum;
  });

// The mean of vectors, and the length of their standard deviations.
const meanOf = (vectors) => vectors[0].map((_, i) => vectors.reduce((sum, v) => sum + v[i], 0) / vectors.length);
const spreadOf = (vectors) => {
  const mean = meanOf(vectors);
  const total = vectors.reduce((sum, v) => sum + v.reduce((s, one, i) => s + (one - mean[i]) ** 2, 0), 0);
  return Math.sqrt(total / (vectors.length - 1));
};
