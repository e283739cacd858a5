"""Stage: video files to frames, sampled once per second, resized as CLIP does, normalised and padded.

Reading (`reading`) follows SPEC section 4. A file is checked before it is decoded (`containers`), its frames are chosen
(`sampling`), decoded (`decoding`, the only place that imports decord) and turned into CLIP's input (`preprocessing`).
`segments` reads long videos in parts.
"""

from diffret_core.frames.containers import check_video_file
from diffret_core.frames.preprocessing import View, normalise_frames, pad_frames, resize_and_crop
from diffret_core.frames.reading import VideoFrames, VideoLength, probe_video, read_chosen_frames, read_frames
from diffret_core.frames.sampling import sample_frame_indices, sample_part_indices
from diffret_core.frames.segments import Segment, read_segments

__all__ = [
    "Segment",
    "VideoFrames",
    "VideoLength",
    "View",
    "check_video_file",
    "normalise_frames",
    "pad_frames",
    "probe_video",
    "read_chosen_frames",
    "read_frames",
    "read_segments",
    "resize_and_crop",
    "sample_frame_indices",
    "sample_part_indices",
]
