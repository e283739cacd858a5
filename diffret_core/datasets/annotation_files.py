"""Read annotation files that anyone may have written: JSON, also inside a zip, and CSV.

Every fault becomes one line that names the file and the place.
"""

import csv
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

_LARGEST_JSON_BYTES = 1_000_000_000  # a zip of a few kilobytes can unpack to more than the memory
_ZIP_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file, or from the one .json file inside a .zip.

    Raises:
        ValueError: If it is not that, naming the file and the reason.
    """
    data = _only_json_in_zip(path) if path.suffix == ".zip" else path.read_bytes()
    try:
        content = json.loads(data.decode("utf-8-sig"))  # a byte order mark is skipped
    except (ValueError, RecursionError) as error:  # also not UTF-8
        raise ValueError(f"{path}: is not valid JSON ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content


def _only_json_in_zip(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX")]
            if len(names) != 1:
                raise ValueError(f"{path}: holds {len(names)} .json files, expected one")
            with archive.open(names[0]) as file:
                data = file.read(_LARGEST_JSON_BYTES + 1)
    except _ZIP_FAILURES as error:
        raise ValueError(f"{path}: is not a readable zip file ({error}); fetch it again") from None
    if len(data) > _LARGEST_JSON_BYTES:
        raise ValueError(f"{path}: unpacks to more than {_LARGEST_JSON_BYTES} bytes, expected an annotation file")
    return data


def read_csv_columns(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Read some columns of a comma separated file with a header line; line ends may be LF or CRLF.

    Args:
        path: The file, UTF-8 with or without a byte order mark.
        columns: Names of the wanted columns.

    Returns:
        The values of those columns, stripped, one tuple a row.

    Raises:
        ValueError: If a column is missing, a row has too few or too many fields, or a value is empty.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            lines = [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error) as error:  # ValueError: not UTF-8
        raise ValueError(f"{path}: is not a readable CSV file ({error}); fetch it again") from None
    if missing := [column for column in columns if column not in header]:
        raise ValueError(f"{path}: its first line has no column {missing[0]!r}; it reads {','.join(header)[:80]!r}")
    for line, row in lines:
        if None in row or None in row.values():
            raise ValueError(f"{path}, line {line}: expected {len(header)} fields; a text with a comma needs quotes")
    rows = [(line, tuple(row[column].strip() for column in columns)) for line, row in lines]
    for line, values in rows:
        if "" in values:
            raise ValueError(f"{path}, line {line}: its {columns[values.index('')]!r} is empty")
    return [values for _, values in rows]


def read_text_fields(place: str, records: list[Any], keys: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The texts under some keys of every record of a JSON list, stripped.

    Args:
        place: File and name of the list, for the message.
        records: What should be JSON objects.
        keys: Keys that every record must have.

    Returns:
        One tuple a record, in the order of keys.

    Raises:
        ValueError: If a record is no object, lacks a key, or a value is not a text or is empty.
    """
    rows = []
    for position, record in enumerate(records):
        known = record if isinstance(record, dict) else {}
        for key in keys:
            value = known.get(key)
            if not isinstance(value, str) or not value.strip():
                found = f"its {key!r} is {value!r}, expected a text" if key in known else f"has no {key!r}"
                raise ValueError(f"{place}[{position}] ({known.get('video_id', 'no video id')}): {found}")
        rows.append(tuple(known[key].strip() for key in keys))
    return rows


def first_repeated(values: list[str]) -> str | None:
    """The first value that occurs a second time, or None."""
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
