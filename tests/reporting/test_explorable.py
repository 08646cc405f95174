"""The explorable: small, alone, and right; its numbers are the library's, its flow is quadrature's.

Chromium runs the page with no network. A probe reads the script's own numbers through the hook
``window.sigmaprop_explorable``, moves every control and the pointer, and leaves what it found in
the page as JSON.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sigmaprop import objectives
from sigmaprop.gaussians import Isotropic
from sigmaprop.reporting import fmt
from sigmaprop.reporting.answer import explorable

MOST_BYTES = 60_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_a_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
]

SETTINGS = (
    *(("sine", [-1.03], 0.5), ("sine", [-1.03, 0.89], 0.01), ("quadratic", [-0.7], 0.2)),
    *(("quadratic", [-0.7, 1.1], 2.0), ("cubic", [0.8], 0.3), ("cubic", [0.8, -0.6], 0.9)),
    *(("quartic", [-0.5], 0.003), ("quartic", [-0.5, 1.2], 1.3), ("cosine", [0.8], 0.7)),
    *(("cosine", [0.8, 0.9], 0.1), ("exponential", [-0.6], 0.4), ("exponential", [1.0, 0.6], 1.0)),
    *(("gaussian_bump", [0.8], 0.6), ("gaussian_bump", [0.8, -0.4], 0.05)),
    *(("styblinski_tang", [0.9], 0.5), ("styblinski_tang", [0.9, 0.5], 0.02)),
    *(("rastrigin", [0.3], 0.1), ("rastrigin", [0.3, -0.3], 0.3)),
    *(("rosenbrock", [0.92, 1.06], 0.05), ("rosenbrock", [-0.4, 1.0], 0.8)),
    *(("absolute", [0.3], 0.5), ("absolute", [0.3, -0.02], 0.1)),
    *(("relu", [-0.4], 0.3), ("relu", [0.3, -0.1], 1.5)),
    *(("step", [0.3], 0.2), ("step", [0.1, -0.2], 0.9)),
)
"""Every f of the page in each number of coordinates that it has."""
GAMES = tuple(
    {"v": v, "sigma": sigma, "s": s, "minimax": minimax, "shared": shared}
    for v, sigma, s in ((0.3, 0.2, 1.0), (0.5, 1.2, 1.0), (1.3, 0.7, 1.0), (0.6, 0.5, 0.7))
    for minimax in (False, True)
    for shared in (False, True)
)
STARTS = tuple(
    {"v": v, "sigma": sigma, "s": 1, "shared": shared, "fixed": fixed, "log": log}
    for v, sigma in ((0.4, 0.5), (1.2, 0.9), (0.1, 0.9))
    for shared in (False, True)
    for fixed in (False, True)
    for log in (False, True)
)
EDGE = 3.0
"""Where paths are cut."""
NUMBERS = (0.0, 1.0, -1.03, 0.126, 0.0123456, 1.2345e-4, -1.2345e-5, 1e-12, 9.996, 99.96, 999.4)
NUMBERS += (1234.5678, 99999.0, 123456.0, -2.5e10, 3e-310)

PROBE = Path(__file__).with_name("explorable_probe.js").read_text(encoding="utf-8")


def probed(directory, width, scheme, *more):
    """What the probe found in a window of that width."""
    asked = {"settings": SETTINGS, "games": GAMES, "starts": STARTS, "numbers": NUMBERS}
    asked["edge"] = EDGE
    page = directory / "probe.html"
    probe = f"<script>const asked = {json.dumps(asked)};\n{PROBE}</script>"
    page.write_text(explorable.standalone().replace("</head>", f"{probe}</head>"))
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-sync"),
        *("--disable-component-update", "--enable-logging=stderr", f"--window-size={width},900"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={directory / 'profile'}"),
        *(f"--blink-settings=preferredColorScheme={scheme}", *more),
        *("--virtual-time-budget=12000", "--dump-dom", f"file://{page}"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert "CONSOLE" not in ended.stderr, ended.stderr
    assert "data-error" not in ended.stdout.split("<header")[0], ended.stdout[:3000]
    (text,) = re.findall(r'<pre id="found">(.*?)</pre>', ended.stdout, re.DOTALL)
    return json.loads(html.unescape(text))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """In a wide window, light; the reader prefers less motion."""
    return probed(tmp_path_factory.mktemp("wide"), 1280, 1, "--force-prefers-reduced-motion")


def test_it_is_small_and_needs_nothing_else():
    text = explorable.standalone()
    assert len(explorable.fragment().encode()) < MOST_BYTES
    assert len(text.encode()) < MOST_BYTES
    assert set(re.findall(r"https?://[^\"' )]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"innerHTML|outerHTML|document\.write|eval\(|fetch\(|XMLHttp|import ", text
    )
    assert not re.search(r'\b(src|srcset)="|@import|url\((?!#)', text)


def test_every_function_of_the_page_is_one_of_the_library():
    assert {name for name, *_ in SETTINGS} < set(objectives.names())


def exact(name, x, sigma):
    """[f, E f, grad f, grad E f] in float64 by the library."""
    with jax.enable_x64(True):
        f = objectives.get(name, len(x))
        point = jnp.asarray(x, jnp.float64)
        gaussian = Isotropic(point, jnp.asarray(sigma, jnp.float64))
        parts = (
            f(point),
            f.smoothed(gaussian),
            jax.grad(f)(point),
            f.smoothed_gradient(gaussian).mean,
        )
        return [np.asarray(part) for part in parts]


def logit(x, real, fake):
    """Of the best discriminator between N(0, real) and N(0, fake), which are variances."""
    return 0.5 * jnp.log(fake / real) + 0.5 * (1 / fake - 1 / real) * x**2


def descent(v, sigma, s, minimax, shared):
    """Minus the gradient of the generator's loss to v and sigma through its own examples, by
    Gauss-Hermite quadrature over z and eps; the discriminator is the best one, and stays."""
    with jax.enable_x64(True):
        nodes, weights = np.polynomial.hermite_e.hermegauss(150)
        z, eps = np.meshgrid(nodes, nodes)
        weight = np.outer(weights, weights) / (2 * np.pi)
        real, fake = s**2 + shared * sigma**2, v**2 + sigma**2

        def loss(player):
            found = logit(player[0] * z + player[1] * eps, real, fake)
            each = -jax.nn.softplus(found) if minimax else jax.nn.softplus(-found)
            return jnp.sum(weight * each)

        return -np.asarray(jax.grad(loss)(jnp.array([v, sigma])))


def steepest(v, sigma, s, minimax, shared):
    """Minus the gradient of 2 JS(N(0, real), N(0, v^2 + sigma^2)), by the trapezoidal rule."""
    assert minimax
    with jax.enable_x64(True):
        x = np.linspace(-20, 20, 8001)
        real = s**2 + shared * sigma**2

        def divergence(player):
            fake = jnp.sum(player**2)
            p, q = (jnp.exp(-(x**2) / (2 * t)) / jnp.sqrt(2 * jnp.pi * t) for t in (real, fake))
            found = logit(x, real, fake)
            return -jnp.sum(p * jax.nn.softplus(-found) + q * jax.nn.softplus(found)) * (
                x[1] - x[0]
            )

        return -np.asarray(jax.grad(divergence)(jnp.array([v, sigma])))


class TestInABrowser:
    """One run of the page answers all of these."""

    pytestmark = in_a_browser

    def test_nothing_breaks(self, found):
        assert found["wrong"] == []

    @pytest.mark.parametrize("index", range(len(SETTINGS)), ids=lambda i: SETTINGS[i][0])
    def test_closed_forms_are_those_of_the_library(self, found, index):
        """To 1e-9 of each number: both are closed forms in float64."""
        for own, library in zip(found["values"][index], exact(*SETTINGS[index]), strict=True):
            np.testing.assert_allclose(own, library, rtol=1e-9, atol=1e-14)

    def test_a_number_for_x_gives_numbers(self, found):
        np.testing.assert_allclose(
            found["single"], [np.squeeze(part) for part in exact("sine", [0.25], 0.5)], rtol=1e-9
        )

    @pytest.mark.parametrize("index", range(len(GAMES)))
    def test_the_flow_is_the_descent_of_the_generators_loss(self, found, index):
        np.testing.assert_allclose(found["flow"][index], descent(**GAMES[index]), rtol=1e-6)

    @pytest.mark.parametrize("index", [i for i, game in enumerate(GAMES) if game["minimax"]])
    def test_minimax_descends_twice_the_jensen_shannon_divergence(self, found, index):
        np.testing.assert_allclose(found["flow"][index], steepest(**GAMES[index]), rtol=1e-6)

    @pytest.mark.parametrize("index", range(len(STARTS)))
    def test_paths_end_where_the_closed_form_says(self, found, index):
        """Within .002: a path stops at the edge, at sigma = .001 and where its speed is below 1e-6.

        Where log sigma learns and falls to 0, 1 / sigma^2 rises by a rate that is bounded: no path
        gets there in 400 units of time.
        """
        (v, sigma, time), (v_end, end) = found["path"][index], map(float, found["ending"][index])
        if end > EDGE:
            assert sigma >= EDGE
        elif end == 0 and STARTS[index]["log"]:
            assert time == 400
            assert sigma < STARTS[index]["sigma"] / 8
        else:
            np.testing.assert_allclose([v, sigma], [v_end, end], atol=2e-3)

    def test_where_the_start_decides(self, found):
        """A mean that learns keeps sigma / v; one that is held leaves one sigma, or none."""
        ended = {
            tuple(start.values()): end for start, end in zip(STARTS, found["path"], strict=True)
        }
        assert abs(ended[0.4, 0.5, 1, False, False, False][1] - 0.5 / np.hypot(0.4, 0.5)) < 1e-4
        assert abs(ended[1.2, 0.9, 1, False, False, False][1] - 0.6) < 1e-4
        assert abs(ended[0.4, 0.5, 1, False, True, False][1] - np.sqrt(1 - 0.4**2)) < 1e-4
        assert ended[1.2, 0.9, 1, False, True, False][1] < 2e-3
        assert ended[0.4, 0.5, 1, True, True, False][1] >= EDGE
        assert ended[1.2, 0.9, 1, True, True, False][1] < 2e-3

    def test_numbers_are_written_as_the_library_writes_them(self, found):
        """All but exact halves of the last digit, which scripts round up and Python to even."""
        assert found["short"] == [fmt.short(number) for number in NUMBERS]

    def test_estimators_are_unbiased(self, found):
        """Within 5 standard errors of 2,000 estimates."""
        truth = float(exact("sine", [0.4], 0.5)[3][0])
        for mean, spread in found["estimates"]:
            assert abs(mean - truth) < 5 * spread / np.sqrt(2000)
        pathwise, score, baseline = (spread for _, spread in found["estimates"])
        assert pathwise < baseline < score

    def test_the_reader_moves_it(self, found):
        """The middle of a chart's frame is right of the picture's middle, by half of 56 - 10."""
        x, v, sigma = found["pressed"]
        assert abs(x - (210 - 233) / 354 * 4) < 0.02
        assert abs(v - (210 - 56) / 354 * 1.6) < 0.02
        assert abs(sigma - (382 - 210) / 372 * 1.6) < 0.02

    def test_sigma_falls_at_once_for_who_prefers_less_motion(self, found):
        assert found["fallen"] == -3

    def test_the_same_picture_at_each_load_and_on_a_phone(self, found, tmp_path):
        """Dark, 390 pixels wide, with motion."""
        again = probed(tmp_path, 390, 0)
        assert again["wrong"] == []
        assert again["first"] == found["first"]
        assert again["values"] == found["values"]
