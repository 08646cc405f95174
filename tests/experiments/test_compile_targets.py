"""Targets of `sigmaprop compile`: the listed ones, files, chips, what has to be installed."""

import json
import re

import pytest
from sigmaprop.experiments.compile import devices, target_files, targets

GPU = dict(targets.TARGETS["a100"].gpu or {})


@pytest.mark.parametrize("name", list(targets.TARGETS))
def test_a_listed_target_says_where_its_numbers_are_from(name):
    target = targets.TARGETS[name]
    assert target.source
    if target.kind == "cpu":
        return
    assert target.price is not None
    assert target.price.dollars > 0
    assert re.fullmatch(r"20\d\d(-\d\d)?", target.price.date)
    assert all(peak > 1e13 for peak in target.peak.values())
    assert target.bandwidth is not None
    assert 5e11 < target.bandwidth < 1e13
    assert target.memory is not None
    assert 1e10 < target.memory < 2e11


def test_chips_stand_behind_the_name():
    assert targets.named("h100:8").chips == "8"
    assert targets.named("tpu-v5e:4x4").chips == "4x4"
    assert targets.named("tpu-v4").chips == "2x2x1"
    assert target_files.target("tpu-v6e:2x4").name == "tpu-v6e:2x4"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("h101", "unknown target 'h101'; did you mean 'h100'?"),
        ("h100:0", "h100 has '0' for its chips; write h100:8"),
        ("h100:2x2", "write h100:8"),
        ("tpu-v5e:4", "write tpu-v5e:2x2"),
        ("tpu-v5e:", "has '' for its chips"),
        ("cpu:2", "cpu takes no number of chips, here '2'"),
        ("nowhere/target.json", "cannot read nowhere/target.json"),
    ],
)
def test_a_target_that_is_none_is_refused(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        target_files.target(text)


def test_the_description_of_a_gpu_is_whole():
    text = targets.gpu_text(GPU, (13, 0))
    assert "  core_count: 108\n" in text
    assert "cuda_compute_capability { major: 8 minor: 0 }" in text
    assert "runtime_version { major: 13 minor: 0 }" in text
    assert text.count("{") == text.count("}")
    assert 'device_description_str: "NVIDIA A100-SXM4-80GB"' in text


def test_a_file_can_be_like_a_listed_target(tmp_path):
    path = tmp_path / "mine.json"
    content = {"like": "h100", "name": "mine", "memory": 48e9, "chips": 4}
    content |= {"price": {"dollars": 0.8}, "gpu": {"core_count": 100}}
    path.write_text(json.dumps(content))
    found = target_files.target(str(path))
    base = targets.TARGETS["h100"]
    assert (found.name, found.memory, found.chips) == ("mine", 48e9, "4")
    assert found.peak == base.peak
    assert found.price == targets.Price(0.8, str(path), "")
    assert found.gpu == {**(base.gpu or {}), "core_count": 100}


def test_a_file_can_stand_alone():
    content = {"name": "c", "kind": "cpu", "peak": {"float32": 1e11}, "bandwidth": 2e10}
    found = target_files.parse(content | {"vector": 5e10, "launch": 0}, "c.json")
    assert (found.kind, found.peak, found.bandwidth, found.vector) == (
        "cpu",
        {"float32": 1e11},
        2e10,
        5e10,
    )
    content |= {"name": "t", "kind": "tpu", "topology": "v5e"}
    assert target_files.parse(content, "t.json").chips == "2x2"
    content |= {"kind": "cuda", "gpu": GPU}
    assert target_files.parse(content, "g.json").gpu == GPU


ALONE = {"name": "x", "kind": "cpu", "peak": {"float32": 1.0}, "bandwidth": 1.0}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "f.json holds []; a target is an object of JSON"),
        ({"like": "h101"}, "f.json: unknown target 'h101'; did you mean 'h100'?"),
        ({"like": 3}, "f.json: unknown target '3'"),
        ({"like": "h100", "memroy": 1}, "unknown field 'memroy'; did you mean 'memory'?"),
        ({"name": "x"}, "f.json has no kind; give it, or name a target to be like"),
        (ALONE | {"kind": "gpu"}, "unknown kind 'gpu'"),
        (ALONE | {"kind": "cuda"}, "f.json has no gpu"),
        (ALONE | {"kind": "tpu"}, "f.json has no topology"),
        (ALONE | {"bandwidth": 0}, "bandwidth is 0; give a number above 0"),
        (ALONE | {"bandwidth": float("nan")}, "bandwidth is nan"),
        (ALONE | {"memory": float("inf")}, "memory is inf"),
        (ALONE | {"memory": True}, "memory is True"),
        (ALONE | {"usable": 1.5}, "usable is 1.5; give a number above 0, at most 1"),
        (ALONE | {"peak": {"float31": 1}}, "unknown dtype 'float31'; did you mean 'float32'?"),
        (ALONE | {"peak": 3}, "peak is 3; give FLOP/s by dtype"),
        (ALONE | {"price": 3}, "price is 3; give dollars"),
        (ALONE | {"price": {"dollars": 1, "euros": 1}}, "give dollars"),
        (ALONE | {"name": ""}, "name is ''; give a text"),
        (ALONE | {"chips": 2}, "takes no number of chips"),
        ({"like": "h100", "gpu": {"cores": 3}}, "unknown field of gpu 'cores'"),
        (ALONE | {"kind": "cuda", "gpu": {}}, "gpu has no threads_per_block_limit"),
        ({"like": "h100", "gpu": {"description": 'a" }'}}, "leave out quotes"),
        ({"like": "h100", "gpu": {"compute_capability": "9 }"}}, "give 9.0, say"),
        ({"like": "h100", "gpu": {"core_count": "x"}}, "core_count is 'x'"),
    ],
)
def test_a_file_that_says_something_else_is_refused_in_one_sentence(content, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        target_files.parse(content, "f.json")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "extra"), [("h100", "aot-cuda"), ("tpu-v5e:2x2", "aot-tpu")])
def test_what_has_to_be_installed_is_told(monkeypatch, name, extra):
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    sentence = devices.missing(targets.named(name))
    assert f"extra {extra}; install it with `pip install " in sentence
    assert devices.missing(targets.named("cpu")) == ""
