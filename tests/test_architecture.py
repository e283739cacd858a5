"""The layers and budgets of the package (docs/decisions.md, "Layers"), on whatever modules exist.

Every check is a function from sources to a list of complaints, so that it can be shown to complain.
"""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "diffret_core"

# Imports go down: a unit (a module or sub-package of diffret_core) may import units of lower layers only.
LAYERS = (
    {"config", "randomness", "tensor_files", "torchvision_operators", "locations", "processes"}
    | {"work_ahead", "folder_lock"},
    {"datasets", "frames", "encoders", "features", "similarity", "candidates", "schedule", "losses", "sampler"}
    | {
        "denoiser",
        "denoiser_prepared",
        "denoiser_compiled",
        "feature_checks",
        "ranking",
        "metrics",
        "normalisation",
        "detection",
        "confidence",
        "word_pairs",
        "scenes",
    },
    {
        "training",
        "retriever",
        "prepared",
        "scores",
        "evaluation",
        "querybanks",
        "measurement",
        "checkpoints",
        "galleries",
        "search",
        "first_cut",
        "parity",
    }
    | {
        "off_the_map",
        "indicator",
        "released",
        "frame_files",
        "extraction",
        "feature_cache",
        "feature_shards",
        "zero_shot",
    },
    {"recipes"},
    {"studies", "bench", "index", "doctor", "plans"},
    {"course"},
    {"cli"},  # above course because `diffret search --save-plot` draws with its figures
    {"__main__"},
)
# the only stages that know another
BESIDE = {
    ("feature_checks", "features"),
    ("losses", "schedule"),
    ("sampler", "schedule"),
    ("denoiser_prepared", "denoiser"),
    ("denoiser_compiled", "denoiser_prepared"),
}
COMPOSING = 2  # the one layer whose units may import one another, without a cycle

OWNERS = {
    "decord": {"frames"},
    "open_clip": {"encoders"},
    "torchvision": {"torchvision_operators", "encoders"},
    "av": {"scenes"},
    "numba": {"denoiser_compiled"},
    "matplotlib": {"course"},
    "plotly": {"course"},
    "ipywidgets": {"course"},
    "IPython": {"course"},
    "voila": {"course"},
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "v2"}
BASES = {"Module", "NamedTuple"}
BASES |= {"Function"}  # autograd.Function: the one way to give a gradient by hand
BASES |= {"TorchDispatchMode"}  # the one way to see every tensor that is made
NESTING = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Sources = dict[str, str]  # path below the package, with slashes -> source


def package_sources() -> Sources:
    folder = ROOT / PACKAGE
    paths = sorted(folder.rglob("*.py"))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def unit_of(path: str) -> str:
    """`training/loop.py` -> `training`, `config.py` -> `config`."""
    return path.split("/")[0].removesuffix(".py")


def imported_modules(path: str, tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, in full, also inside functions."""
    package = [PACKAGE, *path.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ([f"{module}.{alias.name}" for alias in node.names] if module == PACKAGE else [module])


def own_imports(sources: Sources) -> set[tuple[str, str]]:
    """Pairs of units: who imports whom."""
    pairs = set()
    for path, source in sources.items():
        for module in imported_modules(path, ast.parse(source)):
            parts = module.split(".")
            if parts[0] == PACKAGE and len(parts) > 1 and parts[1] != "__version__" and parts[1] != unit_of(path):
                pairs.add((unit_of(path), parts[1]))
    return pairs


def reachable(pairs: set[tuple[str, str]], start: str) -> set[str]:
    """Units that `start` imports, directly or through others."""
    found, waiting = set(), [start]
    while waiting:
        unit = waiting.pop()
        new = {imported for importer, imported in pairs if importer == unit} - found
        found |= new
        waiting += new
    return found


def layer_complaints(sources: Sources) -> list[str]:
    layer_of = {unit: number for number, units in enumerate(LAYERS) for unit in units}
    units = {unit_of(path) for path in sources} - {"__init__"}
    complaints = [f"{unit} is in no layer: add it to LAYERS" for unit in sorted(units - set(layer_of))]
    pairs = own_imports(sources)
    for unit, imported in sorted(pairs):
        if unit == "__init__":
            complaints.append(f"{PACKAGE}/__init__.py imports {imported}: it must import nothing")
        if unit not in layer_of or imported not in layer_of:
            continue
        beside = (unit, imported) in BESIDE or layer_of[unit] == layer_of[imported] == COMPOSING
        if layer_of[imported] >= layer_of[unit] and not beside:
            complaints.append(f"{unit} imports {imported}, which is not below it")
        if beside and unit in reachable(pairs, imported):
            complaints.append(f"{unit} imports {imported}, which leads back to it")
    return complaints


def owner_complaints(sources: Sources) -> list[str]:
    complaints = []
    for path, source in sources.items():
        for module in imported_modules(path, ast.parse(source)):
            owners = OWNERS.get(module.split(".")[0])
            if owners is not None and unit_of(path) not in owners:
                complaints.append(f"{path} imports {module}, which belongs to {' and '.join(sorted(owners))}")
    return complaints


def optional_complaints(sources: Sources) -> list[str]:
    """PyAV at the head of a file: only rendering needs it, so the file must import without it."""
    complaints = []
    for path, source in sources.items():
        imports = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
        head = ast.Module(imports, [])
        if "av" in {module.split(".")[0] for module in imported_modules(path, head)}:
            complaints.append(f"{path} imports av at its head: import it inside the function that needs it")
    return complaints


def body_lines(function: ast.AST) -> int:
    """Lines of a function without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def nesting(node: ast.AST) -> int:
    """Deepest nesting of compound statements inside a function; `elif` counts as its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child) + (isinstance(child, NESTING) and not is_elif))
    return deepest


def function_complaints(path: str, function: ast.FunctionDef) -> Iterator[str]:
    where = f"{path}:{function.lineno} {function.name}"
    positional = [a.arg for a in function.args.posonlyargs + function.args.args if a.arg not in {"self", "cls"}]
    if body_lines(function) > 50:
        yield f"{where} has a body of {body_lines(function)} lines, at most 50"
    if nesting(function) > 3:
        yield f"{where} is nested {nesting(function)} deep, at most 3"
    if len(positional) > 5:
        yield f"{where} has {len(positional)} positional parameters, at most 5"


def class_complaints(path: str, node: ast.ClassDef) -> Iterator[str]:
    where = f"{path}:{node.lineno} {node.name}"
    if node.end_lineno - node.lineno + 1 > 120:
        yield f"{where} has {node.end_lineno - node.lineno + 1} lines, at most 120"
    for base in map(ast.unparse, node.bases):
        if base.split(".")[-1] not in BASES:
            yield f"{where} inherits from {base}: only {', '.join(sorted(BASES))}"


def budget_complaints(sources: Sources) -> list[str]:
    complaints = []
    for path, source in sources.items():
        if (num_lines := len(source.splitlines())) > 250:
            complaints.append(f"{path} has {num_lines} lines, at most 250")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, FUNCTIONS):
                complaints += function_complaints(path, node)
            elif isinstance(node, ast.ClassDef):
                complaints += class_complaints(path, node)
    return complaints


def name_complaints(sources: Sources) -> list[str]:
    complaints = []
    for path, source in sources.items():
        defined = [n.name for n in ast.walk(ast.parse(source)) if isinstance(n, (*FUNCTIONS, ast.ClassDef))]
        for name in [*path.removesuffix(".py").split("/"), *defined]:
            if FORBIDDEN_NAMES & set(name.lower().strip("_").split("_")):
                complaints.append(f"{path}: {name} says nothing; name what it does")
    return complaints


def unpickling_complaints(sources: Sources) -> list[str]:
    """torch.load without weights_only=True runs whatever a file contains."""
    complaints = []
    for path, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "pickle.load", "pickle.loads"}:
                safe = {ast.unparse(keyword) for keyword in node.keywords} & {"weights_only=True"}
                complaints += [] if safe else [f"{path}:{node.lineno} unpickles"]
    return complaints


CHECKS = (
    layer_complaints,
    owner_complaints,
    optional_complaints,
    budget_complaints,
    name_complaints,
    unpickling_complaints,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removesuffix("_complaints"))
def test_package_keeps_to_its_architecture(check):
    complaints = check(package_sources())
    assert not complaints, "\n" + "\n".join(complaints)


def test_median_function_is_short():
    trees = [ast.parse(source) for source in package_sources().values()]
    lines = [body_lines(node) for tree in trees for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    assert not lines or statistics.median(lines) < 15


LONG = "    x = 1\n"
DEEP = "def f():\n for a in b:\n  if a:\n   while a:\n    with a:\n     x = 1\n"


@pytest.mark.parametrize(
    ("check", "path", "source", "complaint"),
    [
        (layer_complaints, "novelty.py", "", "novelty is in no layer"),
        (layer_complaints, "config.py", "import diffret_core.schedule", "config imports schedule"),
        (layer_complaints, "denoiser.py", "import diffret_core.similarity", "denoiser imports similarity"),
        (layer_complaints, "datasets/msrvtt.py", "def f():\n    from .. import frames", "datasets imports frames"),
        (layer_complaints, "schedule.py", "from .losses import generation_loss", "schedule imports losses"),
        (layer_complaints, "retriever.py", "from diffret_core.course import figures", "retriever imports course"),
        (layer_complaints, "__init__.py", "from diffret_core import retriever", "must import nothing"),
        (owner_complaints, "features.py", "def f():\n    import decord", "belongs to frames"),
        (owner_complaints, "cli/search.py", "from matplotlib import pyplot", "belongs to course"),
        (optional_complaints, "scenes/encode.py", "import av", "inside the function"),
        (budget_complaints, "config.py", "x = 1\n" * 251, "251 lines, at most 250"),
        (budget_complaints, "config.py", "def f():\n" + LONG * 51, "body of 51 lines"),
        (budget_complaints, "config.py", "class A:\n" + LONG * 120, "A has 121 lines"),
        (budget_complaints, "config.py", DEEP, "nested 4 deep"),
        (budget_complaints, "config.py", "def f(a, b, c, d, e, g): ...", "6 positional parameters"),
        (budget_complaints, "config.py", "class A(Exception): ...", "inherits from Exception"),
        (name_complaints, "cli/utils.py", "", "utils says nothing"),
        (name_complaints, "config.py", "def merge_v2(): ...", "merge_v2 says nothing"),
        (unpickling_complaints, "checkpoints.py", "torch.load(path)", "unpickles"),
    ],
)
def test_check_complains(check, path, source, complaint):
    complaints = check({path: source})
    assert len(complaints) == 1
    assert complaint in complaints[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("sampler.py", "from diffret_core.schedule import make_schedule"),
        ("retriever.py", "from diffret_core import checkpoints, denoiser"),
        ("datasets/msrvtt.py", "from .collection import Collection\nfrom diffret_core.randomness import generator"),
        ("config.py", 'def f(a, b, c, d, e, *, g):\n    """Doc."""\n' + LONG * 50),
        ("checkpoints.py", "torch.load(path, weights_only=True)"),
        ("cli/search.py", "def run(arguments):\n    from diffret_core import search"),
        ("denoiser.py", "class Denoiser(nn.Module): ...\nclass Code(typing.NamedTuple): ..."),
        ("config.py", "def f():\n    if a: ...\n    elif b: ...\n    elif c: ...\n    elif d: ...\n    elif e: ..."),
    ],
)
def test_checks_accept_what_is_allowed(path, source):
    assert [complaint for check in CHECKS for complaint in check({path: source})] == []


def test_composing_units_may_not_import_in_a_circle():
    names = ("retriever", "checkpoints", "evaluation")
    sources = {f"{a}.py": f"import diffret_core.{b}" for a, b in zip(names, (*names[1:], names[0]), strict=True)}
    assert layer_complaints(sources) == [
        "checkpoints imports evaluation, which leads back to it",
        "evaluation imports retriever, which leads back to it",
        "retriever imports checkpoints, which leads back to it",
    ]


HEAVY = {"torch", "numpy", "tqdm", "decord", "open_clip", "matplotlib", "plotly", "ipywidgets"}


@pytest.mark.parametrize(
    "code",
    ["import diffret_core", "from diffret_core.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"],
    ids=["package", "command help"],
)
def test_import_is_light(code):
    code += f"\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
