"""Read annotation files that anyone may have written: JSON, also inside a zip, CSV, tab separated and plain lines.

Every fault becomes one line that names the file and the place.
"""

import csv
import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_LARGEST_JSON_BYTES = 1_000_000_000  # a zip of a few kilobytes can unpack to more than the memory
_ZIP_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


def annotation_folder(folder: Path | str, benchmark: str) -> Path:
    """Give the folder with the annotation files of a benchmark.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, expected the {benchmark} annotation files in it")
    return folder


def existing_file(folder: Path, names: Iterable[str], benchmark: str) -> Path:
    """Give the first of some files that is there.

    Raises:
        FileNotFoundError: If none is.
    """
    names = tuple(names)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder}: has no {' or '.join(names)}; put the {benchmark} annotation files there")


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file, or from the one .json file inside a .zip.

    Raises:
        ValueError: If it is not that, naming the file and the reason.
    """
    content = _read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content


def read_json_list(path: Path) -> list[Any]:
    """Read a JSON list from a file.

    Raises:
        ValueError: If it is not that, naming the file and the reason.
    """
    content = _read_json(path)
    if not isinstance(content, list):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected a JSON list")
    return content


def _read_json(path: Path) -> Any:
    data = _only_json_in_zip(path) if path.suffix == ".zip" else path.read_bytes()
    try:
        return json.loads(data.decode("utf-8-sig"))  # a byte order mark is skipped
    except (ValueError, RecursionError) as error:  # also not UTF-8
        raise ValueError(f"{path}: is not valid JSON ({error}); fetch it again") from None


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines of a text file that are not blank, each with its number; line ends may be LF or CRLF.

    Raises:
        ValueError: If it is not UTF-8, with or without a byte order mark.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text ({error}); fetch it again") from None
    # only at line feeds: a sentence may hold other characters that str.splitlines takes for the end of a line
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line.removesuffix("\r")) for number, line in numbered if line.strip()]


def read_tab_fields(path: Path, num_fields: int) -> list[tuple[int, tuple[str, ...]]]:
    """Read a tab separated file without a header; a quotation mark is a character like any other.

    Args:
        path: The file.
        num_fields: Fields that every line must have.

    Returns:
        For each line that is not blank its number and its fields, stripped.

    Raises:
        ValueError: If the file is not UTF-8 or a line has another number of fields.
    """
    rows = [(number, tuple(field.strip() for field in line.split("\t"))) for number, line in read_lines(path)]
    for number, fields in rows:
        if len(fields) != num_fields:
            found = f"{len(fields)} fields, expected {num_fields} with tabs between them"
            raise ValueError(f"{path}, line {number}: has {found}; fetch the file again")
    return rows


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
                raise ValueError(
                    f"{place}[{position}] ({known.get('video_id', known.get('video', 'no video id'))}): {found}"
                )
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
