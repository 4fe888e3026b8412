"""The image has all of the suite, and what compose starts is pinned, closed and there."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_copied_and_none_is_ignored():
    includes = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name.removesuffix("*") for name in includes}
    assert packages <= set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
              for word in line.split()}  # fmt: skip
    sent = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_what_is_installed_exists_and_is_pinned():
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", DOCKERFILE)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    assert "--constraint constraints.txt" in DOCKERFILE
    (python,) = re.findall(r"^FROM python:(\d+)\.(\d+)\.\d+-", DOCKERFILE, re.MULTILINE)
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"])
    assert tuple(map(int, python)) >= tuple(map(int, least.groups()))
    images = {service["image"] for service in COMPOSE["services"].values()} - {"head-to-head"}
    assert all(re.search(r":\d+\.\d+", image) for image in images)


def test_nothing_is_open_to_the_network_and_no_secret_is_written_down():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    for name in ("POSTGRES_PASSWORD", "RAY_AUTH_TOKEN"):
        assert f"{name}: ${{{name}:?" in text
    assert COMPOSE["services"]["worker"]["environment"]["RAY_AUTH_MODE"] == "token"
    assert COMPOSE["services"]["worker"]["deploy"]["replicas"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("service", ["mlflow", "head", "worker"])
def test_commands_and_options_that_are_started_exist(service):
    command = COMPOSE["services"][service]["command"]
    words = command.split() if isinstance(command, str) else command
    program = Path(sys.executable).with_name(words[0])
    if not program.exists():
        pytest.skip(f"needs {words[0]}: pip install --editable '.[ray]'")
    said = subprocess.run([program, words[1], "--help"], capture_output=True, check=True, text=True)
    for option in words[2:]:
        assert re.search(rf"{option.partition('=')[0]}\b", said.stdout), option
