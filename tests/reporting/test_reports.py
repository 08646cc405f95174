"""The pages of all experiments: one file that needs nothing else, for any set of runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sigmaprop.experiments.estimators import run as estimators_run

from sigmaprop.comparison.rows import Row
from sigmaprop.limit import table as limit_table
from sigmaprop.reporting import estimators, frame, gan, limit, style
from sigmaprop.reporting.charts import Lines
from sigmaprop.reporting.images import Heat, Images, Slides
from sigmaprop.reporting.rows import Intervals
from sigmaprop.runs.files import RunError

from . import made_up_estimators, made_up_gan
from .pages import Page, digests, page_of

SMALL = {"sigmas": (0.1, 1.0), "batches": (1, 16), "estimators": (("pathwise", "iid"),)}
SPECS = {
    "limit": (limit.OVERVIEW, *limit.FIGURES),
    "estimators": (*estimators.GRID, *(spec for *_, spec in estimators.STUDIES.values())),
    "gan": tuple(spec for *_, specs in gan.PARTS for spec in specs),
}
REPORTS = {"limit": limit, "estimators": estimators, "gan": gan}


@pytest.fixture(autouse=True)
def _cheap_images(monkeypatch):
    """Half of a report's time; one report below has real ones."""
    monkeypatch.setattr(style, "png", lambda figure: b"image")


@pytest.fixture(scope="module")
def targets(run, tmp_path_factory):
    """A report of each experiment, of a made-up run with every number."""
    root = tmp_path_factory.mktemp("reports")
    runs = {
        "limit": run,
        "estimators": made_up_estimators.make_run(root / "e"),
        "gan": made_up_gan.make_run(root / "g"),
    }
    for name, report in REPORTS.items():
        report.write(root / name, (runs[name],))
    return {name: root / name for name in REPORTS}


@pytest.fixture(scope="module")
def pages(targets):
    return {name: page_of(path) for name, path in targets.items()}


each = pytest.mark.parametrize("name", list(REPORTS))


@pytest.mark.parametrize(
    "spec", [s for specs in SPECS.values() for s in specs], ids=lambda s: s.name
)
def test_every_figure_has_a_heading_and_a_caption_that_states_no_result(spec):
    assert isinstance(spec, Lines | Intervals | Heat | Images | Slides)
    assert spec.caption.endswith(".")
    assert len(spec.caption) > 40
    assert not re.search(r"\b(agree|wins|never|always|hardly notice)\b", spec.caption)


@each
def test_names_of_figures_are_their_own(name):
    names = [spec.name for spec in SPECS[name]]
    assert len(set(names)) == len(names)


@each
def test_every_figure_is_in_the_page_and_two_files(name, targets, pages):
    names = {path.stem for path in (targets[name] / "figures").glob("*.svg")}
    assert names == {path.stem for path in (targets[name] / "figures").glob("*.png")}
    assert {figure["id"] for figure in pages[name].all("figure")} == names
    unseen = {"points", "coverage", "sigma_coordinates", "bounds"}
    unseen |= {"gap_bias", "gap_batch", "gap_sigma"}
    wanted = {
        "limit": {f"quartic_{spec.name}" for spec in limit.FIGURES if spec.name != "picture"},
        "estimators": {f"sine_diagonal_{s.name}" for s in estimators.GRID if s.name != "samples"},
        "gan": {spec.name for spec in SPECS["gan"]} - unseen,
    }[name]
    also = {"limit": {"all_overview", "digit_classifier_picture"}, "gan": set()}
    wanted |= also.get(name, set(estimators.STUDIES))
    assert wanted <= names


@each
def test_the_page_begins_with_question_answer_and_at_most_three_figures(name, targets, pages):
    text = (targets[name] / "report.html").read_text()
    assert text.index("<h1>") < text.index('id="answer"') < text.index('id="sections"')
    answer = text[text.index('id="answer"') : text.index('id="sections"')]
    assert 1 <= answer.count("<figure") <= 3
    assert 1 <= answer.split("</ul>")[0].count("<li>") <= 4
    folded = text[text.index('id="sections"') :]
    assert folded.count('<details class="part"') >= 4
    assert '<details class="part" open' not in folded


@each
def test_the_page_needs_nothing_else(name, targets, pages):
    text, page = (targets[name] / "report.html").read_text(), pages[name]
    assert set(re.findall(r"https?://[^\s\"'<>)]*", text)) == set()
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    sources = [
        a.get("href", a.get("src", "")) for tag, a in page.tags if tag in ("a", "img", "link")
    ]
    assert all(source.startswith(("#", "data:")) for source in sources)
    assert all(image["href"].startswith("data:image/png") for image in page.all("image"))
    assert all("src" not in script for script in page.all("script"))


@each
def test_the_page_is_a_document_with_one_of_each(name, targets, pages):
    text, page = (targets[name] / "report.html").read_text(), pages[name]
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert len(page.ids) == len(set(page.ids))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    inner = [a["href"][1:] for a in page.all("a") if a.get("href", "").startswith("#")]
    assert set(inner) <= set(page.ids)
    alts = [a["aria-label"] for _, a in page.tags if a.get("role") == "img"]
    moments = [a["data-moment"] for _, a in page.tags if "data-moment" in a]
    assert len(moments) == (4 if name == "gan" else 0)
    assert len(alts) == len(page.all("figure")) + len(moments[1:])
    assert all(len(alt) > 60 for alt in alts)
    assert len(set(alts)) == len(alts)


@each
def test_data_inside_the_page_are_those_of_the_run(name, pages):
    import base64

    links = {a["download"]: a["href"] for a in pages[name].all("a") if "download" in a}
    config = json.loads(base64.b64decode(links["config.json"].split(",", 1)[1]))
    assert config["seed"] == 0
    table = base64.b64decode(links["table.csv"].split(",", 1)[1]).decode()
    assert table.count("\n") >= 2


def test_light_and_dark(targets):
    text = (targets["limit"] / "report.html").read_text()
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    for name, colours in style.SCHEMES.items():
        assert f"--{name}: {colours[0]};" in light
        assert f"--{name}: {colours[1]};" in dark
    assert "LIGHT" not in text
    assert "DARK" not in text


def test_a_claim_says_what_where_and_how_sure_and_leads_to_its_figure(pages, targets):
    page = pages["limit"]
    for expected in ("claim", "allowed range", "expected", "measured", "99% interval", "verdict"):
        assert expected in page.words
    assert {"✓ holds", "✗ fails", "? not resolved"} <= set(page.words)
    assert "[1.97, 2.03]" in page.words
    assert "0.001 to 0.1" in page.words
    text = (targets["limit"] / "report.html").read_text()
    failing = text[text.index('id="attention"') : text.index('id="sections"')]
    assert '<a href="#quartic_bias">' in failing
    assert "✗ fails" in failing
    assert "✓ holds" not in failing
    assert failing.index("✗ fails") < failing.index("? not resolved")
    (command,) = [word for word in page.words if word.startswith("sigmaprop limit --")]
    assert "--objective quartic digit_classifier" in command
    assert "--x" not in command


def test_the_answer_is_made_from_the_claims(pages):
    text = pages["limit"].text
    assert "bias of grad f(x) goes as a power of sigma: quartic 2 ± 0.03" in text
    assert "1 of 2 fail" in text
    text = pages["estimators"].text
    assert "takes go as sigma to: pathwise -2 ± 0.03" in text


def test_crossings_are_at_the_claims_and_not_read_from_their_words(tmp_path):
    run = frame.load(made_up_estimators.make_run(tmp_path / "run"))
    with style.style():
        drawing = estimators.STUDIES["variance_curves"][2].draw([run])
        coupling = estimators.STUDIES["coupling"][2].draw([run])
    words = [t.get_text() for axes in drawing.figure.axes for t in axes.texts]
    assert words == ["1.25"]
    assert "1.526" in [t.get_text() for axes in coupling.figure.axes for t in axes.texts]


def test_the_choice_names_the_best_and_the_biased(pages):
    text = pages["estimators"].text
    assert "pathwise (antithetic) (1)" in text
    assert "mixed (" in text
    assert "bias −30%" in text


def test_the_comparison_of_arms_has_its_verdicts(pages):
    text = pages["gan"].text
    assert "MMD² of x, as a ratio to that of the arm zero." in text
    assert "✓ better" in text
    assert "✗ worse" in text
    assert "98.3% interval" in text


@pytest.mark.parametrize(
    ("options", "figures"),
    [
        (
            {"mixture": True, "shape": (2,), "arms": ("zero", "low_rank")},
            {"coverage", "points", "bounds"},
        ),
        ({"shape": (1,)}, {"points"}),
        ({"shape": (5,), "arms": ("zero", "per_pixel")}, {"sigma_coordinates"}),
        ({"shape": (4, 4, 3), "arms": ("zero", "per_pixel")}, {"sigma_maps", "samples"}),
        ({"diverged": {4: 40, 5: 40, 6: 40, 7: 40}}, {"scores"}),
        ({"seeds": 1, "average": False}, {"scores"}),
    ],
    ids=["mixture", "line", "vectors", "colours", "diverged", "one seed"],
)
def test_every_kind_of_data_has_its_figures(tmp_path, options, figures):
    directory = made_up_gan.make_run(tmp_path / "run", **options)
    gan.write(directory, (directory,))
    page = page_of(directory)
    assert figures <= {figure["id"] for figure in page.all("figure")}


def test_the_gap_is_drawn_where_it_was_measured(tmp_path):
    """A bias that goes as sigma^2, and samples as its inverse; the last without any signal."""

    def add(table):
        rows = []
        sigmas, sizes = (0.1, 0.2, 0.4, 0.8), (1, 16, 256)
        for replica in (0, 4):
            for sigma in sigmas:
                values = {"bias_relative": (0, sigma**2), "cosine": (0, 1 - sigma**4 / 2)}
                values |= {"sigma_batch": (0, sigma**-2), "sigma_batch_at_mean": (0, np.inf)}
                found = [(f"gap_{name}", *pair) for name, pair in values.items()]
                for size in sizes:
                    found += [("gap_batch_error", size, sigma / size**0.5)]
                    found += [("gap_batch_cosine", size, 1 - sigma**2 / size)]
                rows += [
                    {"step": 100, "replica": replica, "metric": metric, "of": "", "weights": "",
                     "sigma": sigma, "batch_size": size, "value": value}
                    for metric, size, value in found
                ]  # fmt: skip
        return pa.concat_tables([table, pa.Table.from_pylist(rows, table.schema)])

    directory = made_up_gan.make_run(tmp_path / "run", change=add, gap_samples=4096)
    run = frame.load(directory)
    with style.style():
        bias, batch, needed = (
            spec.draw([run])
            for *_, specs in gan.PARTS
            for spec in specs
            if spec.name.startswith("gap")
        )
    line = bias.figure.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(line[:, 1], line[:, 0] ** 2)
    assert any(ln.get_marker() == "*" for ln in batch.figure.axes[0].lines)
    tops = [ln for ln in needed.figure.axes[0].lines if ln.get_marker() == "^"]
    assert len(tops) == 8
    assert "step 100" in needed.figure.texts[0].get_text()


def test_the_same_runs_give_the_same_bytes(make_run, tmp_path):
    path = make_run(tmp_path / "run", **SMALL | {"sigmas": (0.0, 0.1, 1.0)})
    limit.write(tmp_path / "a", (path,))
    limit.write(tmp_path / "b", (path,))
    limit.write(tmp_path / "b", (path,))  # over an older one
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_several_runs_begin_with_the_options_that_differ_and_have_a_column_each(make_run, tmp_path):
    runs = [make_run(tmp_path / dtype, dtype=dtype, **SMALL) for dtype in ("float32", "float64")]
    limit.write(tmp_path / "r", tuple(runs))
    page = page_of(tmp_path / "r")
    text = page.text
    text = text[text.index("Answer") :]
    assert text.index("Options that differ") < text.index("--dtype") < text.index("hold")
    assert "measured (float32)" in page.words
    assert "verdict (float64)" in page.words
    svg = (tmp_path / "r" / "figures" / "quartic_bias.svg").read_text()
    assert "float32 and float64" in svg


def test_overlays_of_the_other_reports(tmp_path):
    for made, report in ((made_up_estimators, estimators), (made_up_gan, gan)):
        root = tmp_path / report.__name__
        runs = [made.make_run(root / str(seed), seed=seed) for seed in (0, 1)]
        report.write(root / "r", tuple(runs))
        assert "Options that differ" in page_of(root / "r").text


def test_more_runs_than_can_be_drawn_are_not_dropped_silently(make_run, tmp_path):
    options = SMALL | {"estimators": (("at_mean", "iid"),)}
    runs = [make_run(tmp_path / str(i), seed=i, **options) for i in range(5)]
    limit.write(tmp_path / "r", tuple(runs))
    assert "the first 4 of 5 runs" in page_of(tmp_path / "r").text


def test_sigma_zero_alone(make_run, tmp_path):
    path = make_run(tmp_path / "a", sigmas=(0.0,), claims=())
    limit.write(path, (path,))
    text = page_of(path).text
    assert "At sigma = 0 pathwise gives grad f(x) with an error of 1e-07." in text
    assert "nothing to draw" in text
    assert list((path / "figures").iterdir()) == []


def with_values(value, error):
    def change(table):
        names = table.column_names
        for name, number in (("value", value), ("error", error)):
            column = pa.array([number] * table.num_rows, pa.float64())
            table = table.set_column(names.index(name), name, column)
        return table

    return change


def without(column, name):
    return lambda table: table.filter(pa.compute.field(column) != name)


@pytest.mark.parametrize(
    "options",
    [
        {"sigmas": (0.1,)},
        {"batches": (64,)},
        {"sigmas": (0.1,), "batches": (64,), "estimators": (("score_function", "antithetic"),)},
        {"estimators": (("at_mean", "iid"),)},
        {"estimators": (("forward_difference", "antithetic"), ("unheard_of", "sobol"))},
        *({"change": with_values(v, e)} for v, e in ((np.nan, np.nan), (0.0, 0.0), (1e300, 1e300))),
        *({"change": with_values(v, e)} for v, e in ((1e99, 1e99), (1e-300, 1e-300), (-1.0, 0.1))),
        {"change": without("wrt", "mean")},
        *({"change": without("metric", m)} for m in ("bias", "error_to_gradient", "cosine")),
    ],
)
def test_partial_and_odd_numbers_are_drawn_or_left_out(make_run, tmp_path, options):
    run = frame.load(make_run(tmp_path / "a", **options))
    with style.style():
        for spec in limit.FIGURES:
            drawing = spec.draw("quartic", [run])
            if drawing is not None:
                style.svg(drawing.figure)
        limit.OVERVIEW.draw([run])


HOSTILE = "<script>alert('1')</script> & \"quoted\" $x_{^ ../../etc \x07\U0001f4a9"


def test_hostile_strings_are_text(make_run, tmp_path):
    def rename(table):
        names = pa.array([HOSTILE] * table.num_rows)
        table = table.set_column(table.column_names.index("objective"), "objective", names)
        column = table["estimator"].to_pylist()
        column = [f"_{HOSTILE}" if name == "at_mean" else name for name in column]
        place = table.column_names.index("estimator")
        return table.set_column(place, "estimator", pa.array(column))

    options = SMALL | {"estimators": (("pathwise", "iid"), ("at_mean", "iid"))}
    options |= {"claims": [(HOSTILE, "fails", HOSTILE)], "note": HOSTILE}
    runs = [make_run(tmp_path / n, change=rename, other=HOSTILE + n, **options) for n in "ab"]
    limit.write(tmp_path / "r", tuple(runs))
    text = (tmp_path / "r" / "report.html").read_text()
    page = Page(text)
    kinds = [script.get("type", "") for script in page.all("script")]
    assert kinds.count("") == 1
    assert set(kinds) == {"", "application/json"}
    assert "alert('1')</script> &" not in text
    assert HOSTILE in " ".join(page.words)
    names = [path.name for path in (tmp_path / "r" / "figures").iterdir()]
    assert names
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "r"]
    for path in (tmp_path / "r" / "figures").glob("*.svg"):
        assert "<script" not in path.read_text()
        assert "\x07" not in path.read_text()


def test_objectives_that_would_share_a_file_name_do_not(make_run, tmp_path):
    names = ("a/b", "a_b", "A_B", "answer")
    options = SMALL | {"estimators": (("at_mean", "iid"),)}
    path = make_run(tmp_path / "a", names, claims=None, **options)
    limit.write(path, (path,))
    page = page_of(path)
    assert len(page.ids) == len(set(page.ids))
    files = [file.name for file in (path / "figures").glob("*_bias.svg")]
    assert len(files) == len({name.lower() for name in files}) == 4


def test_a_failed_write_leaves_the_older_report(make_run, tmp_path, monkeypatch):
    path = make_run(tmp_path / "a", **SMALL)
    limit.write(path, (path,))
    before = digests(path)
    other = make_run(tmp_path / "b", dtype="float64", **SMALL)

    def full(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        limit.write(path, (other,))
    assert digests(path) == before


def test_a_target_that_cannot_be_written_is_a_users_mistake(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        limit.write(tmp_path / "file" / "below", (run,))


def test_columns_and_metrics_are_those_of_the_tables():
    assert tuple(name for name, _ in limit.report.COLUMNS) == limit_table.COLUMNS
    doc = limit_table.__doc__ or ""
    assert all(f"``{name}``" in doc for name, _ in limit.report.METRICS)
    assert tuple(name for name, _ in estimators.report.COLUMNS) == Row._fields
    made = made_up_estimators.table_of()
    assert all(set(row) == set(Row._fields) for row in made)
    assert {row["metric"] for row in made} == {name for name, _ in estimators.report.METRICS}
    assert {"grid", *estimators.STUDIES} == set(estimators_run._STUDIES)


def test_a_report_needs_no_jax(make_run, tmp_path):
    run = make_run(tmp_path / "run", **SMALL)
    program = (
        "import sys; from pathlib import Path; from sigmaprop.reporting import limit, terminal; "
        f"limit.write(Path({str(tmp_path)!r}), (Path({str(run)!r}),)); "
        "assert 'jax' not in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(limit.__file__).parents[2])}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=environment)
    assert (tmp_path / "figures" / "quartic_bias.png").read_bytes().startswith(b"\x89PNG")


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PROBE = """
<script>
addEventListener("load", () => {
  const wrong = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth + 1) wrong.push(`page is ${wide} wide in ${innerWidth}`);
  for (const image of document.images) if (!image.naturalWidth) wrong.push("image");
  const loaded = performance.getEntriesByType("resource");
  if (loaded.some((e) => !e.name.startsWith("data:"))) wrong.push("request");
  const button = document.querySelector("thead button");
  button.click(); button.click();
  if (button.parentElement.getAttribute("aria-sort") !== "descending") wrong.push("sort");
  const entry = document.querySelector(".toggle");
  entry.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  if (!document.querySelector(".gone")) wrong.push("toggle");
  const field = document.querySelector(".filter");
  if (field) {
    field.value = "no such row"; field.dispatchEvent(new Event("input"));
    const rows = [...field.nextElementSibling.querySelectorAll("tbody tr")];
    if (rows.some((row) => !row.hidden)) wrong.push("filter");
  }
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const slides of document.querySelectorAll(".slides")) {
    const range = slides.querySelector("input"), sheets = [...slides.querySelectorAll(".sheet")];
    range.value = 1; range.dispatchEvent(new Event("input"));
    const seen = sheets.filter((sheet) => sheet.offsetHeight);
    if (seen.length !== 1 || seen[0] !== sheets[1]) wrong.push("slider");
    const told = slides.querySelector("output").textContent;
    if (told !== sheets[1].dataset.moment) wrong.push("moment");
    if (slides.querySelectorAll(".cue").length !== 1) wrong.push("cue");
  }
  document.body.dataset.checked = wrong.join("; ") || "fine";
});
addEventListener("error", (event) => { document.body.dataset.error = event.message; });
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(("width", "scheme"), [(1280, 1), (390, 0)], ids=["light", "phone, dark"])
@each
def test_the_page_works_in_a_browser(name, targets, tmp_path, width, scheme):
    """No console error, no request, no broken image, nothing wider than the screen, and the script
    sorts, filters, hides curves and shows the moment that the slider names."""
    text = (targets[name] / "report.html").read_text()
    probe = tmp_path / "probe.html"
    probe.write_text(text.replace("</head>", f"{_PROBE}</head>"))
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-sync"),
        *("--disable-component-update", "--enable-logging=stderr", f"--window-size={width},900"),
        *(
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
        ),
        *("--virtual-time-budget=4000", "--dump-dom", f"file://{probe}"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert 'data-checked="fine"' in ended.stdout, re.findall(r'data-checked="[^"]*"', ended.stdout)
    assert "data-error" not in ended.stdout.split("<main")[0]
    assert "CONSOLE" not in ended.stderr, ended.stderr
