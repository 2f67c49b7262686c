"""The pages link to what is there and name what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, REPOSITORY, SITE

NAVIGATION = (REPOSITORY / ".mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    """Return what headings are linked to by: their words in small letters, with hyphens."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    for target, anchor in set(re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))):
        if "://" not in target:
            assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


@pytest.mark.parametrize("page", SITE, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_site_has_the_page_and_all_that_it_links_to(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).resolve().is_relative_to(REPOSITORY / "docs"), target
    place = page.relative_to(REPOSITORY / "docs")
    assert place.match("decisions/0*.md") or f": {place}\n" in NAVIGATION or f"- {place}\n" in NAVIGATION


SOURCES = [
    path
    for folder in ("agent", "examples", "packaging", "tests", "yang", ".ci")
    for path in sorted((REPOSITORY / folder).rglob("*"))
    if path.is_file() and path.suffix not in (".pyc", ".bin", ".md", ".pcap")
]


def test_what_sources_say_of_pages_is_there() -> None:
    told = {
        (path, name)
        for path in SOURCES
        for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8", errors="replace"))
    }
    assert len(told) > 10
    assert {(path, name) for path, name in told if not (REPOSITORY / name).exists()} == set()


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Return the lines of a page that are no code, with their numbers, and without their code spans and targets."""
    text = re.sub(r"(?ms)^```.*?^```", lambda block: "\n" * block[0].count("\n"), page.read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->", "", line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_headings_are_in_order(page: Path) -> None:
    levels = [len(found[1]) for _, line in prose(page) if (found := re.match(r"(#+) ", line))]
    assert levels[:1] == [1]
    assert 1 not in levels[1:]
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_pictures_say_what_they_show(page: Path) -> None:
    for told in re.findall(r"!\[([^\]]*)\]\(", page.read_text(encoding="utf-8")):
        assert len(told.split()) > 3, told


OTHER_NAMES = {
    r"\b[Kk]eychain": "key chain",
    r"[Rr]oll-over": "rollover",
    r"[Pp]reshared|[Pp]re shared|PSK key": "pre-shared key",
    r"TCP AO|TCPAO": "TCP-AO",
    r"Netconf|netconf server": "NETCONF",
    r"IKE-SAs?\b|IKE_SAs?\b(?!_)": "IKE SA",
    r"IKE v2|Ikev2|IKE_v2": "IKEv2",
    r"[Ss]end ID|Send-ID": "SendID",
    r"[Rr]ecv ID|Recv-ID|ReceiveID": "RecvID",
    r"[Kk]ey[ -]?encrypting key|\bKEK\b": "key-encryption key",
    r"[Dd]ata store": "datastore",
    r"[Tt]raffic-selector": "traffic selector",
}
"""What a thing is not called in the pages, and what it is called."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_one_thing_has_one_name(page: Path) -> None:
    for number, line in prose(page):
        for other, name in OTHER_NAMES.items():
            assert not re.search(other, line), f"line {number}: {name}"


def test_every_decision_is_in_the_index() -> None:
    index = (REPOSITORY / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for record in (REPOSITORY / "docs" / "decisions").glob("0*.md"):
        assert f"({record.name})" in index


def test_what_is_open_in_the_draft_leads_to_every_record_that_answers_it() -> None:
    page = (REPOSITORY / "docs" / "explanation" / "open-in-the-draft.md").read_text(encoding="utf-8")
    told = {gap: row for row, gap in re.findall(r"^(\| (G\d+) \|.*)$", page, re.MULTILINE)}
    for record in (REPOSITORY / "docs" / "decisions").glob("0*.md"):
        for gap in set(re.findall(r"\bG\d+\b", record.read_text(encoding="utf-8"))):
            assert f"(../decisions/{record.name})" in told[gap], gap


def test_figures_of_the_readme_are_those_that_were_measured() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    told = re.findall(
        r"\b\d+(?:\.\d+)? ms\b|\b\d\.\d\d\b", readme.partition("## Beside what you know")[2].partition("\n## ")[0]
    )
    measured = (REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8")
    assert told
    for figure in told:
        assert f"| {figure} |" in measured, figure


def test_every_dependency_has_a_reason() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    reasons = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    packages = re.findall(
        r'^    "([a-z0-9-]+)>=', project.partition("[project.optional-dependencies]")[0], re.MULTILINE
    )
    assert packages
    for package in packages:
        assert f"| {package} |" in reasons, package
