"""What a study of detection found, put beside the model that it measured, for `diffret search` to go by."""

from pathlib import Path

from diffret_core.datasets import Collection
from diffret_core.detection import RECALL
from diffret_core.indicator import INDICATOR_FILE, Indicator, write_indicator
from diffret_core.scenes.manifest import update_manifest
from diffret_core.studies.detection import trained_pairs
from diffret_core.studies.kinds import MEAN
from diffret_core.studies.setting import VALIDATION
from diffret_core.studies.table import StudyTable, read_study
from diffret_core.word_pairs import WordPairs


def indicator_of(table: StudyTable, known: WordPairs) -> Indicator:
    """Give the indicator of text queries: the score and the threshold of validation, both of the first seed.

    Args:
        table: Of a study of the model.
        known: From `trained_pairs`.
    """
    of = {"list": VALIDATION, "direction": "text_to_video", "kind": MEAN, "chosen": 1}
    row = next(row for row in table.rows if all(row[name] == value for name, value in of.items()))
    return Indicator(row["method"], row["threshold"], RECALL, row["num_matched"], known)


def ship_indicator(folder: Path, samples: Path, collection: Collection) -> Path:
    """Put the indicator of a study of the shipped model beside that model, and enter it in the manifest.

    Args:
        folder: Of the study's files.
        samples: The sample collection.
        collection: The same, read.
    """
    write_indicator(samples / "model", indicator_of(read_study(folder), trained_pairs(collection)))
    update_manifest(samples, {f"model/{INDICATOR_FILE}": {}})
    return samples / "model" / INDICATOR_FILE
