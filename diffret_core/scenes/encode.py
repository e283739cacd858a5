"""From frames to an H.264 file; the only place that uses PyAV."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from diffret_core.scenes.scene import FRAMES_PER_SECOND

ENCODER_OPTIONS: dict[str, str] = {"crf": "20", "preset": "slow", "threads": "1"}


def write_video(path: Path, frames: UInt8[np.ndarray, "F H W 3"]) -> None:
    """Encode frames as H.264 in mp4; the file appears whole or not at all.

    The same frames give the same bytes as long as PyAV, and with it libx264, is the same.

    Args:
        path: The mp4 file to write.
        frames: Pictures, RGB; even height and width.

    Raises:
        ValueError: If PyAV is not installed.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        _encode(partial, frames)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def require_encoder() -> None:
    """Make sure that videos can be encoded.

    Raises:
        ValueError: If PyAV is not installed.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise ValueError(
            'rendering videos needs PyAV, which is not installed: run `pip install -e ".[samples]"` in the project'
        ) from error


def _encode(path: Path, frames: UInt8[np.ndarray, "F H W 3"]) -> None:
    require_encoder()
    import av

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=ENCODER_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
