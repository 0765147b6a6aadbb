"""The files of `conf`: what is wrong with one of them is a sentence that names the file.

Kedro's own messages name a file only for some faults and count its lines from zero.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from medical_transfer.types import UserError

SUFFIXES = (".yml", ".yaml", ".json")


class ConfFiles(OmegaConfigLoader):
    """Kedro's loader, in sentences.

    Raises:
        UserError: where there is no such environment, or a file or value of it cannot be read.
    """

    def __init__(self, conf_source: str, env: str | None = None, **options: Any) -> None:
        self.folders: list[Path] = []
        if "://" not in conf_source and not Path(conf_source).is_file():  # else an address or an archive
            base, name = options["base_env"], env or options["default_run_env"]
            self.folders = [Path(conf_source) / base, existing_environment(Path(conf_source), base, name)]
        self._known: dict[str, dict[str, Any]] = {}
        super().__init__(conf_source, env, **options)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """What the environments say about `key`, read and merged once: a session asks for its parameters five times."""
        if key in self:  # given by hand
            return self.data[key]  # type: ignore[no-any-return]
        if key not in self._known:
            self._known[key] = self._read(key)
        return copy.deepcopy(self._known[key])

    def _read(self, key: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = super().__getitem__(key)
        except MissingConfigException:  # Kedro goes on without credentials
            raise
        except Exception as error:
            sentence = fault(error, self.folders)
            if sentence is None:
                raise
            raise UserError(sentence) from error
        return found


def existing_environment(conf: Path, base: str, name: str) -> Path:
    """The folder of an environment.

    Raises:
        UserError: where there is none; it names those that there are.
    """
    if not (conf / base).is_dir():
        raise UserError(
            f"There is no configuration in {conf}: expected the folders {base} and {name} in it. Give the command in "
            "the project's folder, or name the place of these folders with --conf-source."
        )
    if not (conf / name).is_dir() or _inside(conf / name):
        folders = sorted(each for each in conf.iterdir() if each.is_dir())
        there = ", ".join(str(each.relative_to(conf)) for folder in folders for each in _inside(folder) or [folder])
        raise UserError(
            f"There is no environment '{name}' in {conf}: expected one of {there}. Name one of them with --env, or "
            "make that folder."
        )
    return conf / name


def _inside(folder: Path) -> list[Path]:
    """The environments in a folder that holds several, such as one for each set of images."""
    return sorted(each.parent for each in folder.glob("*/parameters*") if each.parent.name != "parameters")


def fault(error: BaseException, folders: Iterable[Path]) -> str | None:
    """What to say about an error of the loader; None where it is no fault of a file or a value."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):  # raised by a resolver of `settings.py`
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return str(cause)
    if isinstance(error, OmegaConfBaseException):
        return (
            f"The value of {error.full_key} cannot be read ({str(error).splitlines()[0]}): ${{...}} stands for another "
            "value of the configuration, so write \\${ where the characters themselves are meant."
        )
    if isinstance(error, ValueError) and "Duplicate keys" in str(error):
        return f"{error}. Say each in one file only."
    # last, since an unreadable file that nothing asked for is not to blame for the errors above
    return next((told for path in _files(folders) if (told := fault_of(path)) is not None), None)


def fault_of(path: Path) -> str | None:
    """What is wrong with a file of the configuration; None where it can be read."""
    try:
        content = OmegaConf.load(path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown line"
        return f"{path} is no YAML at {place} ({error.problem}): correct it there or in the line before."
    except yaml.YAMLError as error:
        return f"{path} is no YAML ({' '.join(str(error).split())}): save it as plain text."
    except UnicodeDecodeError as error:
        return f"{path} is no text in UTF-8 (byte {error.start}): save it in UTF-8."
    except OSError as error:  # omegaconf's word for a single value, and a file that must not be read
        return f"{path} cannot be read as `name: value` lines ({error.strerror or error})."
    if not isinstance(content, DictConfig):
        return f"{path} holds a list: expected `name: value` lines."
    return None


def _files(folders: Iterable[Path]) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES)
