"""The pages link to what is there and name what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("examples/**/*.md")])
SITE = sorted(REPOSITORY.glob("docs/**/*.md"))
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


def test_every_dependency_has_a_reason() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    reasons = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    packages = re.findall(
        r'^    "([a-z0-9-]+)>=', project.partition("[project.optional-dependencies]")[0], re.MULTILINE
    )
    assert packages
    for package in packages:
        assert f"| {package} |" in reasons, package
