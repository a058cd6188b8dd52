"""Hostile and broken text is refused with one clear message; good text keeps its places."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamometer.errors import CampaignError
from dynamometer.spec import yamltext
from dynamometer.spec.yamltext import MAX_BYTES, MAX_DEPTH, Mark, read, scalar

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


def refusal(text: str | bytes) -> str:
    with pytest.raises(CampaignError) as caught:
        read(text, file="c.yaml")
    assert caught.value.exit_code == 2
    assert len(caught.value.problems) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c.yaml: the file is empty"),
        ("# only a comment\n", "c.yaml: the file is empty"),
        ("~", "c.yaml: the file is empty"),
        ("- a\n- b\n", "c.yaml:1:1: a list stands at the top; a file is a mapping"),
        ("hello", "c.yaml:1:1: a single value stands at the top"),
        ("a:\n\tb: 1\n", "c.yaml:2:1: not valid YAML: a tab is used for indentation"),
        ("a: 1\n---\nb: 1\n", "c.yaml:2:1: a second document begins"),
        ("a: " + "[" * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ("- " * 30_000, f"nested more than {MAX_DEPTH} deep"),
        ("a: &x [*x]", "c.yaml:1:8: *x stands inside the value it refers to"),
        ("a: *x", "c.yaml:1:4: *x refers to an anchor &x that is not there"),
        (BOMB, "aliases counted by what they stand for"),
        ("[" + "1," * 900_000 + "]", "more than 500,000 values"),
        ("x" * (MAX_BYTES + 1), "is no campaign file"),
        ("".join(f"k{i}: 1\n" for i in range(1_000_000)), "is no campaign file"),
        ("a: 1\0", "c.yaml:1:5: a NUL character"),
        ("a: \x07", "c.yaml:1:4: the character U+0007 cannot stand in a file"),
        ("a: \ud800", "c.yaml:1:4: the character U+D800 cannot stand in a file"),
        ("a: b: c", "c.yaml:1:5: not valid YAML: a key and its ':' cannot stand here"),
        ("a: 'x", "c.yaml:1:6: not valid YAML: the file ends inside a quoted text"),
        ("a: [1, 2\nb: 3", "not valid YAML: a list '[…]' that does not end"),
        ("? [a]\n: b", "c.yaml:1:3: a key must be a text"),
        ("&a x: 1\n*a : 2", "a key must be a text"),
        ("a: !e!f x", "tags such as !name! are not allowed"),
        ("a: 1\n".encode("utf-16"), "UTF-16 or UTF-32"),
        ("a: 1\n".encode("utf-16-le"), "a NUL character"),
        (b"a: 1\nb: \xe9\n", "c.yaml:2: not UTF-8"),
    ],
    ids=range(27),
)
def test_refuses(text: str | bytes, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3:1: a: 'a' is given twice: here and in line 1"),
        ("a:\n  b: 1\n  b: 1\n", "c.yaml:3:3: a.b: 'b' is given twice: here and in line 2"),
        (
            "a: !!python/object/apply:os.system [x]",
            "c.yaml:1:4: the tag !!python/object/apply:os.system is not allowed",
        ),
        ("a: !mine x", "the tag !mine is not allowed"),
        ("a: !!int 3", "the tag !!int is not allowed"),
        ("!!binary a: 1", "the tag !!binary is not allowed"),
        ("a: .inf", "c.yaml:1:4: .inf is not a finite number"),
        ("a: 1e999", "1e999 is not a finite number"),
        ('a: "\\0"', "a control character stands in this text"),
        ('"\\e": 1', "a control character stands in this key"),
        ("<<: 3", "'<<' wants a mapping"),
    ],
)
def test_notes_and_reads_on(text: str, message: str) -> None:
    (problem,) = read(text, file="c.yaml").problems
    assert message in str(problem)


def test_reading_ends_after_fifty_mistakes() -> None:
    with pytest.raises(CampaignError) as caught:
        read("a: 1\n" * 1000, file="c.yaml")
    assert len(caught.value.problems) == 50


def test_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert read(b"\xef\xbb\xbfa: 1", file="c").data == {"a": 1}
    assert read("\ufeffa: 1", file="c").values["a",] == Mark(1, 4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, word)
            for word in ("no", "on", "off", "yes", "y", "012", "1_000", "12:30", "=", "<<", "0b11", "2024-01-01")
        ),
        *(("true", True), ("FALSE", False), ("~", None), ("", None), ("Null", None)),
        *(("0", 0), ("-17", -17), ("+3", 3), ("0o17", 15), ("0x1f", 31)),
        *(("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-0.25", -0.25), ("9" * 41, "9" * 41)),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_and_tagged_texts_stay_texts() -> None:
    assert read("a: '1'\nb: !!str 1\nc: \"true\"\non: 012\nd: |\n  5\n", file="c").data == {
        "a": "1",
        "b": "1",
        "c": "true",
        "on": "012",
        "d": "5\n",
    }


def test_merge_keys_fill_in_what_is_missing() -> None:
    document = read("x: &x {a: 1, b: 2}\ny:\n  <<: [*x, {c: 4, a: 9}]\n  b: 3\n", file="c")
    assert document.data["y"] == {"a": 1, "b": 3, "c": 4}
    assert document.values["y", "a"] == Mark(3, 3)
    assert document.values["y", "b"] == Mark(4, 6)


def test_every_key_and_value_has_its_place() -> None:
    document = read("a: 1\nengines:\n  - name: x\n    formats: [gguf, é]\n", file="c")
    assert document.keys["engines", 0, "formats"] == Mark(4, 5)
    assert document.values["engines", 0, "formats", 1] == Mark(4, 21)
    assert document.values["engines", 0] == Mark(3, 5)


def test_the_slow_parser_reads_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x [1, 'b', {c: no}]\nd: *x\n? e\n: |\n  f\n"
    fast = read(text, file="c")
    monkeypatch.setattr(yamltext, "LOADER", yaml.SafeLoader)
    assert read(text, file="c").data == fast.data
    assert f"nested more than {MAX_DEPTH} deep" in refusal("[" * 2000)
    assert "tab" in refusal("a:\n\tb: 1\n")


def test_a_bomb_costs_little() -> None:
    """Refused within a second of CPU and 200 MB, in a child that would be killed above."""
    code = f"""
import resource
from dynamometer.errors import CampaignError
from dynamometer.spec.yamltext import read
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
try:
    read({BOMB!r}, file="c")
except CampaignError as error:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 1
    print(error)
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "aliases counted by what they stand for" in child.stdout


@settings(deadline=None)
@given(st.one_of(st.text(max_size=200), st.text("ab:-[]{}&*!#|>'\"%@`,? \n\t~<0", max_size=60), st.binary(max_size=60)))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        document = read(text, file="c")
    except CampaignError:
        return
    assert isinstance(document.data, dict)


TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.text("ab 1:#-é\n", max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("abc1 "), inner, max_size=3)),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text("abc"), TREES, max_size=3))
def test_json_is_yaml(tree: dict[str, object]) -> None:
    assert read(json.dumps(tree), file="c").data == tree
