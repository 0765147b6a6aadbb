"""Files of a configuration that cannot be read, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medical_transfer.hooks.conf_files import ConfFiles
from medical_transfer.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from medical_transfer.types import UserError

FAULTY = {
    "an open list": (b"images:\n  kind: folder\n root: [x\n", "parameters.yml is no YAML at line 3, column 2"),
    "a tab": (b"images:\n\tkind: folder\n", "parameters.yml is no YAML at line 2, column 1 .*cannot start any token"),
    "one key twice": (
        b"images: {}\nimages: {}\n",
        "parameters.yml is no YAML at line 2, column 1 .*duplicate key images",
    ),
    "a zero byte": (b"images: \0\n", "parameters.yml is no YAML .*#x0000"),
    "another encoding": (b"images: K\xf6rper\n", r"parameters.yml is no text in UTF-8 \(byte 9\)"),
    "a list": (b"- a\n- b\n", "parameters.yml holds a list: expected `name: value` lines"),
    "a number": (b"3\n", "parameters.yml cannot be read as `name: value` lines"),
    "no such value": (
        b"images: {root: '${nowhere}'}\n",
        r"value of images.root cannot be read \(.*'nowhere' not found\)",
    ),
    "no such resolver": (b"images: {root: '${nope:1}'}\n", r"value of images.root cannot be read \(.* type nope\)"),
    "an empty run_root": (b"folders: {images: \"${project:''}\"}\n", r"^run_root \(or cache_root\) is empty"),
    "nobody's home": (
        b"folders: {images: \"${project:'~no-one-here/x'}\"}\n",
        "^run_root .*home folder",
    ),
}


def loader(conf: Path, env: str | None = None, **given: Any) -> ConfFiles:
    return CONFIG_LOADER_CLASS(str(conf), env, runtime_params=given, **CONFIG_LOADER_ARGS)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name in ("base", "local", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "base/parameters.yml").write_text("images: {kind: packaged}\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_file_is_named_with_its_line(conf: Path, case: str) -> None:
    content, sentence = FAULTY[case]
    (conf / "local/parameters.yml").write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        _ = loader(conf)["parameters"]
    assert "\n" not in str(caught.value)
    assert loader(conf, "other")["parameters"] == {"images": {"kind": "packaged"}}  # which does not read that file


@pytest.mark.parametrize("case", ["no such value", "no such resolver", "an empty run_root", "nobody's home"])
def test_a_faulty_value_is_not_put_down_to_a_file_that_nothing_reads(conf: Path, case: str) -> None:
    content, sentence = FAULTY[case]
    (conf / "local/parameters.yml").write_bytes(content)
    (conf / "local/notes.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        _ = loader(conf)["parameters"]


def test_one_key_in_two_files_names_both(conf: Path) -> None:
    (conf / "local/notes.json").write_text("[1, 2]", encoding="utf-8")  # which nothing reads
    for name in ("parameters_a.yml", "parameters_b.yml"):
        (conf / "local" / name).write_text("images: {size: 32}\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"Duplicate keys .*parameters_[ab]\.yml and .*parameters_[ab]\.yml: images\.size"
    ):
        _ = loader(conf)["parameters"]


def test_signs_that_mean_another_value_are_told_apart_on_the_command_line(conf: Path) -> None:
    with pytest.raises(UserError, match=r"images.root cannot be read .*write \\\$\{ where"):
        _ = loader(conf, images={"root": "/d/${x}"})["parameters"]
    assert loader(conf, images={"root": "/d/\\${x}"})["parameters"]["images"]["root"] == "/d/${x}"


def test_an_environment_that_is_not_there_names_those_that_are(conf: Path) -> None:
    with pytest.raises(UserError, match=r"no environment 'nosuch' in .*: expected one of base, local, other\. "):
        loader(conf, "nosuch")
    (conf / "shared/chest").mkdir(parents=True)
    (conf / "shared/chest/parameters.yml").write_text("run: {seed: 1}\n", encoding="utf-8")
    for group in ("shared", "shared/nosuch"):
        with pytest.raises(UserError, match=rf"no environment '{group}' .* base, local, other, shared/chest\. "):
            loader(conf, group)
    assert loader(conf, "shared/chest")["parameters"]["run"] == {"seed": 1}
    with pytest.raises(UserError, match=r"There is no configuration in .*: expected the folders base and local in it"):
        loader(conf / "base")


def test_what_is_no_fault_of_a_file_is_left_alone(conf: Path) -> None:
    with pytest.raises(KeyError):
        _ = loader(conf)["no such part"]
    with pytest.raises(Exception, match="No files of YAML or JSON format found"):  # Kedro goes on without
        _ = loader(conf)["credentials"]


def test_a_key_is_read_once_and_nobody_changes_it_for_another(tmp_path):
    for env in ("base", "local"):
        (tmp_path / env).mkdir()
    (tmp_path / "base/parameters.yml").write_text("images: {size: 8}\n")
    conf = loader(tmp_path)
    conf["parameters"]["images"]["size"] = 9
    (tmp_path / "base/parameters.yml").write_text("images: {size: 10}\n")
    assert conf["parameters"] == {"images": {"size": 8}}
    assert loader(tmp_path)["parameters"] == {"images": {"size": 10}}
    conf["parameters"] = {"images": {"size": 11}}
    assert conf["parameters"] == {"images": {"size": 11}}, "what is given by hand counts"
