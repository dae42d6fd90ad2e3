"""docs/promises.md names only tests that exist, for each of ten promises and fifty trials."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.contract.docs_pages import ROOT, headings, page, section, tables, words

PAGE = page("docs/promises.md")
PROMISES = [heading.text for heading in headings(PAGE) if heading.level == 3]
TRIALS = tables(section(PAGE, "## The fifty trials"))[0][1:]


def named_tests(text: str) -> list[str]:
    return [word for word in words(text) if re.fullmatch(r"tests/[\w/]+\.py::\w+", word)]


@functools.lru_cache
def defined_in(path: str) -> dict[str, ast.AST]:
    """Every test of a module by name: functions, and classes that Hypothesis makes by assignment."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found.update({target.id: node for target in node.targets if isinstance(target, ast.Name)})
    return {name: node for name, node in found.items() if name.lower().startswith("test")}


@pytest.mark.parametrize("name", sorted(set(named_tests(PAGE))))
def test_every_test_that_is_named_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).is_file(), path
    assert test in defined_in(path), f"{path} has no {test}"


def test_the_ten_promises_are_there_in_order() -> None:
    assert [title.split()[0] for title in PROMISES] == [f"P{number}" for number in range(1, 11)]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/operations.md"])
def test_the_promises_are_where_people_look_each_with_a_test_that_holds_it(name: str) -> None:
    (rows,) = [rows for rows in tables(page(name)) if [row[0] for row in rows[1:]][:1] == ["P1"]]
    assert [row[0] for row in rows[1:]] == [title.split()[0] for title in PROMISES]
    for row, title in zip(rows[1:], PROMISES, strict=True):
        (test,) = named_tests(row[2])
        assert test in named_tests(section(PAGE, f"### {title}")), title


@pytest.mark.parametrize("title", PROMISES)
def test_every_promise_is_held_by_a_test(title: str) -> None:
    assert named_tests(section(PAGE, f"### {title}"))


def test_the_fifty_trials_are_there_in_order_and_each_has_its_tests() -> None:
    assert [row[0] for row in TRIALS] == [str(number) for number in range(1, 51)]
    assert [row[1] for row in TRIALS if not named_tests(row[2])] == []


def test_every_test_that_only_windows_can_run_is_named() -> None:
    path = "tests/faults/test_windows.py"
    assert {f"{path}::{name}" for name in defined_in(path)} <= set(named_tests(TRIALS[-1][2]))


def test_words_that_look_like_tests_are_whole_names() -> None:
    cut = [word for word in words(PAGE) if word.startswith("tests/") and word not in named_tests(PAGE)]
    assert cut == []
