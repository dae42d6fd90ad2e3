"""The page obeys its own rules: nothing inline, nothing from elsewhere, nothing dangling."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.webui.page_files import SCRIPTS, STYLES, WEBUI, Page, code_of, read

PAGE = Page()
ALL_FILES = sorted(path for path in WEBUI.rglob("*") if path.is_file())
MAX_LINES = 400
FORBIDDEN_WORDS = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "DOMParser",
    "createContextualFragment",
    "setHTMLUnsafe",
    "eval(",
    "Function(",
    "srcdoc",
    "cssText",
    "javascript:",
)
# Names of XML vocabularies look like addresses and are never fetched.
NAMESPACES = ("http://www.w3.org/2000/svg",)
# Opened by a click and never by the page; the licence of that engine asks for the link.
LINKS = {"js/ui/engines.js": 'const HOMES = { wan2gp: "https://github.com/deepbeepmeep/Wan2GP" };'}
# First paint and a quick start on a phone: what the first visit to the Studio transfers stays below this.
MAX_FIRST_LOAD_BYTES = 300_000

_ID_IN_HTML = {"for", "aria-labelledby", "aria-describedby", "aria-controls"}
_ID_USED = re.compile(r"""(?:byId|getElementById)\(\s*["']([\w-]+)["']\s*\)""")
_ID_ATTRIBUTE = re.compile(r"""["']?(?:for|aria-labelledby|aria-describedby)["']?:\s*["']([\w -]+)["']""")
_ID_MADE = re.compile(r"""\bid:\s*["']([\w-]+)["']""")
_IMPORT = re.compile(
    r"""(?:^|\n)\s*(?:import|export)\b[^;]*?from\s*["']([^"']+)["']|(?:^|\n)import\s*["']([^"']+)["']"""
)


def _made_by_scripts() -> set[str]:
    return {name for path in SCRIPTS for name in _ID_MADE.findall(code_of(path))}


def _names(path: Path) -> str:
    return path.relative_to(WEBUI).as_posix()


def test_no_script_or_style_is_written_into_the_page() -> None:
    assert not PAGE.inline_script
    assert not [tag for tag, _ in PAGE.tags if tag == "style"]
    assert not [tag for tag, attributes in PAGE.tags if tag == "script" and not attributes.get("src")]


def test_no_element_carries_a_style_or_an_event_handler() -> None:
    names = {name for _, attributes in PAGE.tags for name in attributes}
    assert "style" not in names
    assert not {name for name in names if name.startswith("on")}


def test_everything_the_page_loads_is_a_file_of_its_own() -> None:
    loaded = PAGE.values("src") + [attrs["href"] or "" for tag, attrs in PAGE.tags if tag == "link"]
    assert loaded
    for address in loaded:
        assert address.startswith("/static/"), address
        assert (WEBUI / address.removeprefix("/static/")).is_file(), address


@pytest.mark.parametrize("path", ALL_FILES, ids=_names)
def test_no_file_names_an_address_on_the_network(path: Path) -> None:
    text = read(path)
    for namespace in NAMESPACES:
        text = text.replace(namespace, "")
    link = LINKS.get(_names(path), "")
    assert link in text
    text = text.replace(link, "")
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", text, re.IGNORECASE)
    if path.suffix == ".css":
        assert "@import" not in text
        assert "url(" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=_names)
def test_scripts_never_turn_text_into_markup_or_code(path: Path) -> None:
    code = code_of(path)
    assert not [word for word in FORBIDDEN_WORDS if word in code]
    assert not re.search(r"""setAttribute\(\s*["'](?:style|on\w+)["']""", code)
    assert not re.search(r"""[{,]\s*["']?style["']?\s*:""", code)


@pytest.mark.parametrize("path", SCRIPTS, ids=_names)
def test_every_import_is_a_file_of_the_page(path: Path) -> None:
    for pair in _IMPORT.findall(read(path)):
        address = pair[0] or pair[1]
        assert address.startswith("."), address
        assert (path.parent / address).is_file(), address


def test_every_script_is_reached_from_the_first_one() -> None:
    reached: set[Path] = set()
    waiting = [
        WEBUI / (attrs["src"] or "").removeprefix("/static/") for tag, attrs in PAGE.tags if tag == "script"
    ]
    while waiting:
        path = waiting.pop().resolve()
        if path in reached:
            continue
        reached.add(path)
        text = read(path)
        waiting += [path.parent / (a or b) for a, b in _IMPORT.findall(text)]
        waiting += [path.parent / name for name in re.findall(r'import\("([^"]+)"\)', text)]
    assert reached == {path.resolve() for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=_names)
def test_every_script_is_small_and_says_what_it_is(path: Path) -> None:
    text = read(path)
    assert text.startswith("/**\n * ")
    assert len(text.splitlines()) < MAX_LINES


def test_ids_of_the_page_are_unique() -> None:
    counted = Counter(PAGE.values("id"))
    assert not [name for name, times in counted.items() if times > 1]


def test_every_id_that_markup_refers_to_exists() -> None:
    made = set(PAGE.values("id")) | _made_by_scripts()
    for _, attributes in PAGE.tags:
        for name in _ID_IN_HTML & attributes.keys():
            assert set((attributes[name] or "").split()) <= made
        target = attributes.get("href") or ""
        # "#/…" names a screen, anything else after a "#" a place in the page.
        assert not target.startswith("#") or target.startswith("#/") or target[1:] in made


@pytest.mark.parametrize("path", SCRIPTS, ids=_names)
def test_every_id_that_a_script_refers_to_exists(path: Path) -> None:
    made = set(PAGE.values("id")) | _made_by_scripts()
    code = code_of(path)
    used = set(_ID_USED.findall(code))
    for names in _ID_ATTRIBUTE.findall(code):
        used |= set(names.split())
    used |= set(re.findall(r'control: "([\w-]+)"', code))
    assert used <= made


def test_every_element_of_the_page_is_defined() -> None:
    code = "\n".join(code_of(path) for path in SCRIPTS)
    defined = set(re.findall(r"""(?:\[|define\()["'](aio-[a-z-]+)["'],""", code))
    used = {tag for tag, _ in PAGE.tags} | set(re.findall(r"""\bh\(\s*["'](aio-[a-z-]+)["']""", code))
    assert {tag for tag in used if tag.startswith("aio-")} <= defined


def test_pictures_have_a_text_alternative_and_a_size() -> None:
    for tag, attributes in PAGE.tags:
        if tag == "img":
            assert {"alt", "width", "height"} <= attributes.keys()


def _with_imports(first: list[Path]) -> set[Path]:
    """These scripts and all that they import at once, not what they load later."""
    reached: set[Path] = set()
    waiting = [path.resolve() for path in first]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [(path.parent / (a or b)).resolve() for a, b in _IMPORT.findall(read(path))]
    return reached


@pytest.mark.parametrize("locale", sorted(path.stem for path in (WEBUI / "locales").glob("*.json")))
def test_the_first_visit_to_the_studio_transfers_little(locale: str) -> None:
    """The page, its styles and icon, every script up to the Studio and one language, as they are sent."""
    linked = [
        WEBUI / address.removeprefix("/static/") for address in PAGE.values("src") + PAGE.values("href")
    ]
    files = {path.resolve() for path in linked if path.is_file() and path.suffix != ".js"}
    files |= _with_imports(
        [path for path in linked if path.suffix == ".js"] + [WEBUI / "js" / "screens" / "studio.js"]
    )
    files |= {(WEBUI / "index.html").resolve(), (WEBUI / "locales" / f"{locale}.json").resolve()}
    packed = sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in files)
    assert len(files) > 20
    assert packed < MAX_FIRST_LOAD_BYTES


def test_styles_respect_reduced_motion_and_show_the_focus() -> None:
    text = "\n".join(code_of(path) for path in STYLES)
    assert "prefers-reduced-motion: reduce" in text
    assert ":focus-visible" in text
