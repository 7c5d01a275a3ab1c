"""The wheel holds the package, all of it and nothing else; an editable install shows the package only.

Rule: STYLE, Packaging: a wheel that installs `tests` or `docs`, or a checkout whose `arch/` can be imported, is a bug.
"""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from einsum_cascade import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "einsum_cascade"
# Top-level folders whose files go into the wheel as data.
DATA = ("arch", "mappings")
BANNED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["flake8-tidy-imports"][
    "banned-api"
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from this checkout, without isolation, so without a network."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = target.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> list[str]:
    """Names of the files in the wheel."""
    return zipfile.ZipFile(wheel).namelist()


def test_top_level_of_the_wheel(wheel_names: list[str]) -> None:
    top = {name.split("/")[0] for name in wheel_names}
    assert top == {"einsum_cascade", f"einsum_cascade-{__version__}.dist-info"}


def test_wheel_holds_every_file_of_the_package(wheel_names: list[str]) -> None:
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    presets = {f"einsum_cascade/data/{folder}/{path.name}" for folder in DATA for path in (ROOT / folder).iterdir()}
    assert {name for name in wheel_names if name.startswith("einsum_cascade/")} == on_disk | presets
    assert "einsum_cascade/py.typed" in on_disk
    assert "einsum_cascade/data/arch/flat-cloud.yaml" in presets


def test_presets_are_found_in_an_installed_package(tmp_path: Path, wheel: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from einsum_cascade import preset_files as found
print(found.__file__, *found.preset_files("arch").values())
"""
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert len(found) > 4
    assert all(Path(path).is_relative_to(tmp_path) for path in found)


def test_editable_install_holds_no_file_of_the_package() -> None:
    # A folder of data beside the installed packages would hide the package in the checkout.
    files = distribution("einsum-cascade").files or []
    assert not [path for path in files if path.parts[0] == "einsum_cascade"]


@pytest.mark.parametrize("folder", sorted(BANNED))
def test_top_level_folder_cannot_be_imported(folder: str, tmp_path: Path) -> None:
    code = f"import einsum_cascade, {folder}"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stderr.endswith(f"ModuleNotFoundError: No module named '{folder}'\n")


def test_lint_bans_every_top_level_folder() -> None:
    folders = {path.name for path in ROOT.glob("[!.]*/") if not (path / "pyvenv.cfg").exists()}
    made_by_builds = {"__pycache__", "build", "dist"}
    assert folders - made_by_builds - {PACKAGE.name} <= BANNED.keys()


def installed_closure(name: str, extras: frozenset[str]) -> set[str]:
    """Names and versions of the distributions that a requirement brings in here, itself not among them."""
    found: set[str] = set()
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found.add(f"{distribution(requirement.name).name}=={version(requirement.name)}")
            found |= installed_closure(requirement.name, frozenset(requirement.extras))
    return found


def test_constraints_name_what_is_installed() -> None:
    # `make constraints` writes the file; a requirement added without it would float.
    assert set((ROOT / "constraints.txt").read_text().split()) == installed_closure(
        "einsum-cascade", frozenset({"dev"})
    )
