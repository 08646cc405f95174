// The one-dimensional Gaussian GAN with an optimal discriminator, as a flow in (v, sigma).
//
// Real x ~ N(0, r), fake x = v z + sigma eps ~ N(0, t), t = v^2 + sigma^2; r = s^2, or s^2 + sigma^2
// where real data are noised alike. The best discriminator has the logit
//   l(x) = log N(x; 0, r) - log N(x; 0, t) = log(t/r)/2 + (1/t - 1/r) x^2/2,  so  l'(x) = c x.
// The generator descends E softplus(-l) (non-saturating) or -E softplus(l) (minimax) through its own
// x alone: d/dv = -E[w(l) l'(x) z], d/dsigma = -E[w(l) l'(x) eps], w = 1 - D or D, D = 1/(1 + e^-l).
// As E[z | x] = v x/t and E[eps | x] = sigma x/t, the flow is c E[w x^2]/t times (v, sigma): it runs
// along rays from the origin, outwards where t < r, inwards where t > r, for either loss.

// E[w u^2] of u = x/sqrt(t) ~ N(0, 1), by the trapezoidal rule.
const weight = (ratio, minimax) => {
  const step = 0.05;
  let sum = 0;
  for (let u = step; u < 9; u += step) {
    const logit = 0.5 * (Math.log(ratio) + (1 - ratio) * u * u);
    sum += (u * u * Math.exp(-0.5 * u * u)) / (1 + Math.exp(minimax ? -logit : logit));
  }
  return (2 * step * sum) / Math.sqrt(2 * Math.PI);
};

// [dv/dtime, dsigma/dtime]. fixed: v does not learn; log: the parameter that learns is log sigma.
const flow = ({ v, sigma, s = 1, minimax = false, shared = false, fixed = false, log = false }) => {
  const real = s * s + (shared ? sigma * sigma : 0);
  const fake = v * v + sigma * sigma;
  const rate = (1 / fake - 1 / real) * weight(fake / real, minimax);
  return [fixed ? 0 : rate * v, rate * sigma * (log ? sigma * sigma : 1)];
};

// The path from a start: points [v, sigma, time], by Runge and Kutta's rule with steps short in space
// and time. It ends at rest, at the edge of the picture, or after `most` units of time.
const path = (start, most, edge) => {
  const points = [[start.v, start.sigma, 0]];
  const at = (v, sigma) => flow({ ...start, v, sigma: Math.max(sigma, 1e-9) });
  for (let i = 0; i < 4000; i += 1) {
    const [v, sigma, time] = points[points.length - 1];
    const k1 = at(v, sigma);
    const speed = Math.hypot(...k1);
    if (speed < 1e-6 || time >= most || v > edge || sigma > edge || sigma < 1e-3) break;
    const h = Math.min(0.25, 0.02 / speed, most - time);
    const k2 = at(v + (h / 2) * k1[0], sigma + (h / 2) * k1[1]);
    const k3 = at(v + (h / 2) * k2[0], sigma + (h / 2) * k2[1]);
    const k4 = at(v + h * k3[0], sigma + h * k3[1]);
    const move = [0, 1].map((j) => (h / 6) * (k1[j] + 2 * k2[j] + 2 * k3[j] + k4[j]));
    points.push([v + move[0], Math.max(sigma + move[1], 1e-9), time + h]);
  }
  return points;
};

// Where the flow ends, [v, sigma] with Infinity for no end, from what it keeps on the way: the ratio
// sigma/v, or log v + 1/(2 sigma^2) where log sigma learns (dsigma/dv = sigma^3/v), or v itself.
const ending = ({ v, sigma, s = 1, shared = false, fixed = false, log = false }) => {
  if (fixed && shared) return [v, v < s ? Infinity : v > s ? 0 : sigma];
  if (fixed) return [v, Math.sqrt(Math.max(0, s * s - v * v))];
  if (!log && shared) return [s, (sigma * s) / v];
  if (!log) return [v, sigma].map((one) => (one * s) / Math.hypot(v, sigma));
  if (shared) {
    const left = 1 / (sigma * sigma) + 2 * Math.log(v / s);
    return left > 0 ? [s, 1 / Math.sqrt(left)] : [s * Math.exp(left / 2), Infinity];
  }
  const kept = (a, b) => Math.log(a) + 1 / (2 * b * b);
  let [low, high] = [0, s];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    const more = kept(Math.sqrt(s * s - middle * middle), middle) > kept(v, sigma);
    [low, high] = more ? [middle, high] : [low, middle];
  }
  return [Math.sqrt(s * s - low * low), low];
};
