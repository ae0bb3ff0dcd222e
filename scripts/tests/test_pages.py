from pathlib import Path

import pytest

from scripts.check_dependencies import python_dependencies, rust_dependencies, unexplained
from scripts.check_links import anchor, link_problems
from scripts.check_version import VERSION_FILE, version_problems


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("What comes later", "what-comes-later"),
        ("The `put` call", "the-put-call"),
        ("1. Facts, and figures", "1-facts-and-figures"),
    ],
)
def test_headings_become_fragments(heading: str, expected: str):
    assert anchor(heading) == expected


@pytest.mark.parametrize(
    "link",
    [
        "[a](other.md)",
        "[a](other.md#a-heading)",
        "[a](#here)",
        "[a](https://example.org/x)",
        "`[a](x)`",
    ],
)
def test_a_link_that_leads_somewhere_passes(tmp_path: Path, link: str):
    (tmp_path / "other.md").write_text("## A heading\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n{link}\n")
    assert not list(link_problems(page, tmp_path))


@pytest.mark.parametrize(
    "link",
    ["[a](missing.md)", "[a](page.md#nowhere)", "[a](#nowhere)", '<img src="no.svg">', "[a](..)"],
)
def test_a_link_that_leads_nowhere_is_shown(tmp_path: Path, link: str):
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n{link}\n")
    (problem,) = link_problems(page, tmp_path)
    assert problem.startswith("page.md:2: ")


def test_a_dependency_needs_a_row_in_a_table():
    page = "Text about `other`.\n\n| `named` | because |\n"
    (problem,) = unexplained({"named", "other"}, page)
    assert problem.startswith("other ")


def test_dependencies_come_from_both_manifests(tmp_path: Path):
    (tmp_path / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["a"]\n[workspace.dependencies]\ntq-proto = "1"\nrmp = "1"\n'
    )
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Cargo.toml").write_text(
        '[package]\nname = "a"\n[dev-dependencies]\nlibc = "1"\n'
    )
    (tmp_path / "pyproject.toml").write_text(
        """
        [build-system]
        requires = ["maturin>=1.9,<2"]
        [project]
        dependencies = ["torch>=2"]
        [project.optional-dependencies]
        test = ["pytest-timeout"]
        """
    )
    assert rust_dependencies(tmp_path) == {"rmp", "libc"}
    assert python_dependencies(tmp_path) == {"maturin", "torch", "pytest-timeout"}


@pytest.mark.parametrize(
    ("stated", "changelog", "problems"),
    [
        ("1.2.3", "## [1.2.3] - unreleased", 0),
        ("1.2.2", "## [1.2.3]", 1),
        ("1.2.3", "## [1.2.2]", 1),
    ],
)
def test_versions_agree(tmp_path: Path, stated: str, changelog: str, problems: int):
    (tmp_path / "Cargo.toml").write_text('[workspace.package]\nversion = "1.2.3"\n')
    (tmp_path / VERSION_FILE).parent.mkdir(parents=True)
    (tmp_path / VERSION_FILE).write_text(f"{stated}\n")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n{changelog}\n")
    assert len(list(version_problems(tmp_path))) == problems
