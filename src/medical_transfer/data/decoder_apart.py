"""GDCM in a process of its own: on damaged JPEG bytes it aborts, and would take a whole run along.

The process is started at the first image that needs it (lossless JPEG, JPEG-LS) and kept; where it dies, that image is
unreadable and the next one gets a new process. What is sent is a DICOM file of one frame and its pixel tags only.
Messages are a length of 8 bytes, little-endian, then so many bytes; the answer is an array in numpy's format, or empty
where the decoder refuses.
"""

from __future__ import annotations

import atexit
import io
import os
import struct
import subprocess
import sys
import threading
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.data.decode import PILLOW_ERRORS, Unreadable

MOST_SECONDS = 120
"""A frame that takes longer is given up."""
HEAD = struct.Struct("<Q")


class DecoderApart:
    """One process that decodes, shared by all threads of this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, file: bytes, syntax: str) -> NDArray[Any]:
        """Pixels of the only frame of a DICOM file; `syntax` names how it is compressed.

        Raises:
            Unreadable: the decoder refuses it, dies of it, or takes too long.
        """
        with self._lock:
            process = self._alive()
            assert process.stdin is not None
            assert process.stdout is not None
            watch = threading.Timer(MOST_SECONDS, process.kill)
            watch.start()
            try:
                send(process.stdin, file)
                answer = receive(process.stdout)
            except (OSError, EOFError):
                self.close()
                raise Unreadable(f"its pixels ({syntax}) are damaged: the decoder died of them") from None
            finally:
                watch.cancel()
        if not answer:
            raise Unreadable(f"its pixels ({syntax}) are damaged, or of a kind that no decoder here knows")
        decoded: NDArray[Any] = np.load(io.BytesIO(answer), allow_pickle=False)
        return decoded

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-m", __name__]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - ours
        return self._process

    def close(self) -> None:
        """End the process, where there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not sent any more
                    continue


def send(pipe: IO[bytes], content: bytes) -> None:
    """Write one message."""
    pipe.write(HEAD.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    content = pipe.read(HEAD.unpack(head)[0])
    if len(content) < HEAD.unpack(head)[0]:
        raise EOFError
    return content


def _answer(file: bytes) -> bytes:
    from pydicom import dcmread  # noqa: PLC0415 - heavy
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415

    try:
        decoded = pixel_array(dcmread(io.BytesIO(file)), decoding_plugin="gdcm")
    except PILLOW_ERRORS:
        return b""
    buffer = io.BytesIO()
    np.save(buffer, decoded, allow_pickle=False)
    return buffer.getvalue()


def main() -> None:
    """Answer messages until there are none; nothing else is written to any stream."""
    from medical_transfer.data.dicom_file import silent_pydicom  # noqa: PLC0415

    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    silent_pydicom()
    while True:
        try:
            send(answers, _answer(receive(sys.stdin.buffer)))
        except (EOFError, BrokenPipeError):
            return


decoder_apart = DecoderApart()
atexit.register(decoder_apart.close)

if __name__ == "__main__":
    main()
