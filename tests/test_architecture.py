"""The rooms of the house: who may import whom."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

import losses

ROOT = Path(__file__).parent.parent
PACKAGES = ("experiments", "models", "losses", "analysis")

# A package and what of the project it may import; whatever is not here is a leaf.
ALLOWED = {
    "models": {"models"},
    "losses": {"losses"},
    "analysis": {"analysis"},
    "experiments": set(PACKAGES),
}

# The folders and modules of a package, floor by floor: each imports only from floors below its own.
FLOORS = {
    "experiments": [
        {"errors", "schema", "seeding"},
        {"files", "limits", "options", "optimizers", "ports", "readers"},
        {"shell"},
        {"data", "records"},
        {"settings"},
        {"training"},
        {"deploy", "pages", "speed"},
        {"sweep"},
        {"search"},
        {"__main__"},
    ],
    "analysis": [
        {"files", "metrics", "plugins", "record", "spreadsheets"},
        {"place"},
        {"absence"},
        {"tracking_server"},
        {"tables"},
        {"statistics"},
        {"findings", "page"},
        {"sections"},
        {"evidence", "report"},
    ],
}


def imports(file: Path) -> set[str]:
    """Every module that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_is_below_them(package):
    for file in files(package):
        used = {name.split(".")[0] for name in imports(file)} & set(PACKAGES)
        assert used <= ALLOWED[package], file


def test_the_table_of_plugins_is_the_same_in_the_three_rooms_that_know_nothing_of_each_other():
    one, *others = (ROOT / room / "plugins.py" for room in ("losses", "models", "analysis"))
    assert all(other.read_text() == one.read_text() for other in others)


@pytest.mark.parametrize("package", FLOORS)
def test_folders_import_only_from_the_floors_below_them(package):
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms}
    for file in files(package):
        own, *_ = file.relative_to(ROOT / package).with_suffix("").parts
        if own == "__init__":
            continue
        for name in imports(file):
            root, _, inside = name.partition(".")
            used = inside.partition(".")[0]
            # What a package itself has, such as its name, is no room of it.
            if root == package and used in floor_of.keys() - {own}:
                assert floor_of[used] < floor_of[own], f"{file} imports {name}"


@pytest.mark.parametrize("package", FLOORS)
def test_every_folder_has_its_floor(package):
    rooms = {
        path.stem
        for path in (ROOT / package).iterdir()
        if path.suffix == ".py" or any(path.rglob("*.py"))
    }
    assert rooms - {"__init__"} == set().union(*FLOORS[package])


def test_analysis_never_imports_torch():
    for file in files("analysis"):
        roots = {name.split(".")[0] for name in imports(file)}
        assert not roots & {"torch", "torchvision", "lightning_fabric", "safetensors"}, file


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        (
            "mlflow",
            {
                "experiments/records/client.py",
                "experiments/records/store.py",
                "experiments/records/claims.py",
                "experiments/records/experiment.py",
                "experiments/records/tracker.py",
                "experiments/records/run_record.py",
                "experiments/records/ui.py",
                "experiments/deploy/registry.py",
                "experiments/deploy/server.py",
                "analysis/tables/load.py",
                "analysis/tables/store.py",
                "analysis/tracking_server.py",
            },
        ),
        ("requests", {"experiments/data/published/download.py", "analysis/tracking_server.py"}),
        (
            "optuna",
            {
                f"experiments/search/{name}.py"
                for name in (
                    *("storages/database", "storages/journal", "storages/storage"),
                    *("replay", "samplers", "study"),
                )
            },
        ),
        ("ray", {"experiments/sweep/engines/ray_tasks.py"}),
        ("lightning_fabric", {"experiments/training/step.py"}),
    ],
)
def test_a_big_library_is_known_in_its_own_file_only(library, homes):
    using = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in files(package)
        if library in {name.split(".")[0] for name in imports(file)}
    }
    assert using <= homes


def test_no_loss_is_named_outside_its_own_room():
    # A loss is chosen by what it declares, so that a new one needs no change elsewhere. Defaults
    # and presets may name one.
    for file in files("models") + files("analysis") + files("experiments"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Compare):
                texts = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
                assert not texts & set(losses.OBJECTIVES), f"{file}:{node.lineno}"


def test_no_pickle_is_loaded():
    for package in PACKAGES:
        for file in files(package):
            assert "torch.load" not in file.read_text(), file
            assert "pickle" not in imports(file), file


def test_files_read_in_one_sitting():
    for package in PACKAGES:
        for file in files(package):
            assert len(file.read_text().splitlines()) <= 320, file


def test_texts_are_utf8_whatever_the_locale():
    # Without an encoding Python takes the locale's: what one machine writes another cannot read.
    for package in PACKAGES:
        for file in files(package):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and opens_text(node):
                    keys = {keyword.arg for keyword in node.keywords}
                    assert "encoding" in keys, f"{file}:{node.lineno}"


def opens_text(call: ast.Call) -> bool:
    """Whether a call reads or writes a text file, as far as its own words say."""
    match call.func:
        case ast.Attribute(attr="read_text" | "write_text"):
            return True
        case ast.Attribute(attr="open", value=ast.Name(id="Image" | "tarfile" | "os")):
            return False
        case ast.Attribute(attr="open", value=ast.Name(id="gzip")):
            return "t" in mode_of(call.args[1:2])
        case ast.Attribute(attr="open"):
            return "b" not in mode_of(call.args[:1])
        case ast.Name(id="open"):
            return "b" not in mode_of(call.args[1:2])
    return False


def mode_of(given: list[ast.expr]) -> str:
    constants = [
        node for mode in given for node in ast.walk(mode) if isinstance(node, ast.Constant)
    ]
    return "".join(str(constant.value) for constant in constants)


@cache
def loaded(module: str) -> frozenset[str]:
    """All that is imported where a module of the project is, itself with it."""
    place = ROOT / module.replace(".", "/")
    file = next(
        (one for one in (place.with_suffix(".py"), place / "__init__.py") if one.exists()), None
    )
    if file is None:
        return frozenset({module})
    found = {module}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found).union(*(loaded(one) for one in found - {module}))


def test_without_an_optional_package_its_tests_are_skipped():
    """A test file that cannot even be imported fails the whole suite where an extra is missing."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    optional = {
        re.split(r"[^\w-]", one)[0].replace("-", "_")
        for name, packages in extras.items()
        for one in packages
        if name != "dev"
    }
    assert {"ray", "psycopg"} <= optional
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        needed = optional & {one.split(".")[0] for one in loaded(module)}
        asked = set(re.findall(r'importorskip\("(\w+)"', file.read_text()))
        assert needed <= asked, f"{file}: {needed - asked} may not be there"
