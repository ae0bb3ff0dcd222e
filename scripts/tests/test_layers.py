from pathlib import Path

import pytest

from scripts.check_layers import (
    Crate,
    fence_problems,
    floor_problems,
    map_problems,
    members,
    read_crate,
    unsafe_problems,
)


def crate(name: str, *dependencies: str) -> Crate:
    return Crate(name, Path(), frozenset(dependencies))


def test_an_arrow_down_and_the_shared_words_pass():
    assert not list(floor_problems(crate("tq-storage", "tq-arena", "tq-proto", "thiserror")))
    assert not list(floor_problems(crate("tq-codec", "tq-proto")))


@pytest.mark.parametrize(
    ("name", "dependency"),
    [("tq-arena", "tq-storage"), ("tq-storage", "tq-controller"), ("tq-proto", "tq-codec")],
)
def test_an_arrow_up_or_sideways_is_named(name: str, dependency: str):
    problems = list(floor_problems(crate(name, dependency)))
    assert problems
    assert name in problems[0]
    assert dependency in problems[0]


def test_only_a_test_may_look_sideways_and_none_may_look_up():
    names = frozenset({"tq-server"})
    assert not list(floor_problems(Crate("tq-client", Path(), names, for_tests=names)))
    assert list(floor_problems(Crate("tq-client", Path(), names)))
    assert list(floor_problems(Crate("tq-engine", Path(), names, for_tests=names)))


def test_a_crate_without_a_floor_is_named():
    assert "tq-new has no floor" in next(floor_problems(crate("tq-new")))


@pytest.mark.parametrize(
    ("name", "dependency"),
    [
        ("tq-client", "pyo3"),
        ("tq-client", "pyo3-ffi"),
        ("tq-storage", "tokio"),
        ("tq-arena", "tonic"),
    ],
)
def test_a_fenced_dependency_is_refused_on_the_wrong_side(name: str, dependency: str):
    assert list(fence_problems(crate(name, dependency)))


def test_a_fenced_dependency_is_fine_on_its_own_side():
    assert not list(fence_problems(crate("tq-python", "pyo3")))
    assert not list(fence_problems(crate("tq-client", "tokio")))


def test_dependencies_are_found_in_every_table_and_under_their_real_name(tmp_path: Path):
    (tmp_path / "Cargo.toml").write_text(
        """
        [package]
        name = "tq-x"
        [dependencies]
        plain = "1"
        renamed = { package = "pyo3", version = "1" }
        [dev-dependencies]
        dev = "1"
        [target.'cfg(loom)'.dependencies]
        loom = "1"
        """
    )
    assert read_crate(tmp_path).dependencies == {"plain", "pyo3", "dev", "loom"}


def test_members_follow_the_manifest(tmp_path: Path):
    (tmp_path / "Cargo.toml").write_text('[workspace]\nmembers = ["crates/*"]\n')
    for name in ("tq-a", "tq-b"):
        folder = tmp_path / "crates" / name
        folder.mkdir(parents=True)
        (folder / "Cargo.toml").write_text(f'[package]\nname = "{name}"\n')
    assert [member.name for member in members(tmp_path)] == ["tq-a", "tq-b"]


def test_unsafe_outside_the_fence_is_shown_with_its_line():
    source = '// unsafe in a comment\nlet text = "unsafe";\nunsafe { f() }\n'
    (problem,) = unsafe_problems("tq-arena", "alloc.rs", source)
    assert "alloc.rs:3" in problem
    assert problem.endswith("mapping")


def test_the_lint_name_is_not_unsafe_code():
    assert not list(unsafe_problems("tq-arena", "lib.rs", "#[allow(unsafe_code)]\nmod mapping;\n"))


def test_every_block_in_the_fence_needs_its_argument():
    argued = "// SAFETY: the range is ours.\nunsafe { f() }\n"
    assert not list(unsafe_problems("tq-arena", "mapping.rs", argued))
    (problem,) = unsafe_problems("tq-arena", "mapping.rs", argued + "unsafe impl Send for X {}\n")
    assert "2 unsafe" in problem
    assert "1 SAFETY" in problem


def test_the_fence_holds_submodules_too():
    argued = "// SAFETY: the range is ours.\nunsafe { f() }\n"
    assert not list(unsafe_problems("tq-arena", "mapping/scan.rs", argued))
    assert list(unsafe_problems("tq-arena", "segment/mapping.rs", argued))


def test_an_unsafe_fn_states_a_contract_and_claims_nothing():
    assert not list(unsafe_problems("tq-arena", "mapping.rs", "pub unsafe fn f() {}\n"))


def test_a_map_has_modules_and_reexports():
    assert not list(map_problems("tq-x", "//! Words.\nmod a;\npub use a::B;\n"))
    assert "2" in next(map_problems("tq-x", "mod a;\npub(crate) const fn f() {}\n"))


def test_the_registration_of_the_extension_module_is_part_of_the_map():
    source = "#[pymodule]\nfn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {\n    a(m)\n}\n"
    assert not list(map_problems("tq-python", source))
