"""Metrics as tables: on the screen, and in Markdown beside what others have published."""

from collections.abc import Mapping
from typing import Any

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]

_NAMES = ("R@1", "R@5", "R@10", "median_rank", "mean_rank")
_TRANSDUCTIVE = "uses the other test queries, so it compares with no other row"
_RULES = {
    "corrected": "one rank per query, an equal score counts against the target",
    "reference": "as the released code counts: ties add ranks, and where a video has several captions its last one "
    "goes to the next video",
}


def print_metrics(metrics: Metrics) -> None:
    """Print a table with a line per direction and method; "of" is how many items each query ranks."""
    print(
        f"{'':14} {'':{_width(metrics)}} {'R@1':>5} {'95 % interval':>13} {'R@5':>6} {'R@10':>6} {'median':>6} "
        f"{'mean':>7} {'of':>6}"
    )
    for direction, methods in metrics.items():
        for method, one in methods.items():
            low, high = one["R@1_interval"]
            print(
                f"{_spoken(direction):14} {_marked(method, one):{_width(metrics)}} {one['R@1']:5.1f} "
                f"{low:6.1f}-{high:5.1f}  {one['R@5']:6.1f} {one['R@10']:6.1f} {one['median_rank']:6.1f} "
                f"{one['mean_rank']:7.2f} {one['gallery_size']:6}"
            )
    if _has_transductive(metrics):
        print(f"* transductive: it {_TRANSDUCTIVE}")
    for line in _lines_over_seeds(metrics):
        print(line)


def markdown_table(metrics: Metrics, published: Metrics, protocol: Mapping[str, Any]) -> str:
    """Write metrics as a Markdown document: what was measured and how, a table, and what its rows mean.

    Args:
        metrics: By direction and method; see `measurement.measure`.
        published: Others' figures, by direction and name; see `recipes.published`.
        protocol: What the metrics were measured on and how; see `measurement.measure`. Besides, "model", and
            "published_counts" and "differs_from_published": how large the benchmark is, and where the data are not.
    """
    lines = [f"# {protocol['collection']}, {protocol['split']} split", "", *_protocol_lines(protocol), ""]
    lines += ["| direction | method | R@1 | 95 % interval | R@5 | R@10 | median | mean | gallery |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for direction, methods in metrics.items():
        for method, one in methods.items():
            low, high = one["R@1_interval"]
            figures = [f"{one['R@1']:.1f}", f"{low:.1f} to {high:.1f}", *_figures(one)[1:], f"{one['gallery_size']:,}"]
            name = f"{method} (transductive)" if one.get("transductive") else method
            lines.append(_row(direction, name, *figures))
        for name, one in published.get(direction, {}).items():
            recall, *others = _figures(one)
            lines.append(_row(direction, f"*{name}*", recall, "", *others, ""))
    if _has_transductive(metrics):
        lines += ["", f"Transductive: it {_TRANSDUCTIVE}."]
    if over_seeds := _lines_over_seeds(metrics):
        lines += ["", *(f"- {line}" for line in over_seeds)]
    if published:
        lines += ["", "Published figures are other people's, of other runs; nothing of them was measured here:"]
        names = {f"{name}: {one['source']}": None for rows in published.values() for name, one in rows.items()}
        lines += [f"- {name}" for name in names]
    return "\n".join(lines) + "\n"


def _protocol_lines(protocol: Mapping[str, Any]) -> list[str]:
    left_out = protocol["num_left_out"]
    whole = f"{left_out} videos are missing and left out: these figures compare with no others"
    scoring, bank = protocol["scoring"], protocol["query_bank"]
    settings = (f"{name.replace('_', ' ')} {'all' if value is None else value}" for name, value in scoring.items())
    sizes = f"{bank.get('text_to_video', 0):,} training captions, {bank.get('video_to_text', 0):,} training videos"
    lines = [
        f"{protocol['num_texts']:,} texts, {protocol['num_videos']:,} videos; "
        f"{whole if left_out else 'no video is left out'}",
        *(f"{name.replace('_', ' ')}: {protocol[name]}" for name in ("protocol", "test_list") if protocol.get(name)),
        _published_size(protocol),
        f"model: {protocol['model']} in {protocol['mode']} mode",
        f"metrics: {protocol['metrics']} ({_RULES[protocol['metrics']]})",
        f"scoring: {', '.join(settings)}",
        f"seeds of the noise: {', '.join(map(str, protocol['seeds']))}",
        f"bank of queries (beta {bank['beta']:g}): {sizes}",
    ]
    return [f"- {line}" for line in lines]


def _published_size(protocol: Mapping[str, Any]) -> str:
    counts = protocol["published_counts"]
    if counts is None:
        return "of these files no published size is known: the figures compare with none"
    sizes = ", ".join(f"{one['num_videos']:,} {split} videos" for split, one in counts.items())
    if faults := protocol["differs_from_published"]:
        what = f"not the published {protocol['collection']} of {sizes}, so the figures compare with none"
        return f"{what}: {'; '.join(faults)}"
    return f"as published: {sizes}"


def _lines_over_seeds(metrics: Metrics) -> list[str]:
    """Give a line for each row that was generated several times."""
    return [
        f"{_spoken(direction)} {method} over {len(one['over_seeds']['seeds'])} seeds of the noise, mean ± standard "
        "deviation: "
        + ", ".join(
            f"{name.replace('_', ' ')} {one['over_seeds']['mean'][name]:.2f} ± {one['over_seeds']['spread'][name]:.2f}"
            for name in _NAMES
        )
        for direction, methods in metrics.items()
        for method, one in methods.items()
        if "over_seeds" in one
    ]


def _figures(one: Mapping[str, Any]) -> list[str]:
    digits = dict(zip(_NAMES, (1, 1, 1, 1, 2), strict=True))
    return ["-" if one[name] is None else f"{one[name]:.{digits[name]}f}" for name in _NAMES]


def _row(direction: str, *cells: str) -> str:
    return f"| {' | '.join([_spoken(direction), *cells])} |"


def _has_transductive(metrics: Metrics) -> bool:
    return any(one.get("transductive") for methods in metrics.values() for one in methods.values())


def _marked(method: str, one: Mapping[str, Any]) -> str:
    return f"{method} *" if one.get("transductive") else method


def _spoken(direction: str) -> str:
    return direction.replace("_", "-")


def _width(metrics: Metrics) -> int:
    return max(len(_marked(method, one)) for methods in metrics.values() for method, one in methods.items())
