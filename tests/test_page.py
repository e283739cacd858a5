"""The demo as a page of its own: what it serves and refuses, and that a browser shows what the core computes."""

import pickle
import re
import socket

import ipywidgets as widgets
import nbformat
import pytest
import torch
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from served_page import (
    HOSTILE_FILES,
    HOSTILE_WORDS,
    ROOT,
    TOKENS,
    answer,
    bars,
    chromium,
    opened,
    served,
    stretched,
    write_hostile_index,
)
from voila.voila_kernel_manager import voila_kernel_manager_factory

from diffret_core.cli.main import main
from diffret_core.course.page import server
from diffret_core.course.page.notebook import STEPS, page_notebook
from diffret_core.course.page.opened import open_page
from diffret_core.course.page.server import HOST, free_port, page_settings
from diffret_core.index import model_of, open_index, search_index

SENTENCE, ANOTHER = "two yellow triangles jump over a lamp", "an orange lamp leans left"
SECRET = b"root:"


@pytest.fixture(scope="module")
def index_folder(tmp_path_factory):
    return write_hostile_index(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def port(index_folder):
    """Port of a page over that index, served by the real command."""
    with served("-m", "diffret_core", "demo", "--no-browser", "--index", str(index_folder)) as port:
        yield port


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def seen(browser, port):
    """The page in a browser; tests go on from where the one before left it, and each begins with a query of its own."""
    with opened(browser, port) as seen:
        yield seen


def ask(page, sentence):
    """Type a sentence and press Run, as a person does, and wait for the answer."""
    page.get_by_label("sentence").fill(sentence)
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("b", has_text=f"“{sentence}”").first.wait_for(timeout=60_000)


# --- what is served, and what is not ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("/demo.ipynb", "/voila/files/demo.ipynb", "/voila/files/", "/voila/files/../../etc/passwd"),
        *("/voila/files/..%2f..%2f..%2fetc%2fpasswd", "/voila/files//etc/passwd", "/files/demo.ipynb", "/etc/passwd"),
        *("/../../etc/passwd", "/voila/static/../../../../../../../../etc/passwd", "/voila/static//etc/passwd"),
        "/voila/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        *("/static/../../etc/passwd", "/voila/templates/diffret/static/../../../../../../../../../etc/passwd"),
        *("/voila/labextensions/../../../../../../etc/passwd", "/voila/api/themes/../../../../../../../etc/passwd"),
        *("/voila/tree", "/voila/tree/", "/voila/render/demo.ipynb", "/voila/api/contents", "/voila/api/contents/"),
        *("/api/contents/demo.ipynb", "/api/kernels", "/api/sessions", "/lab", "/tree"),
    ],
)
def test_page_gives_out_no_file(port, path):
    response = answer(port, path)
    location = response.getheader("Location", "")
    while 300 <= response.status < 400:  # other paths lead to /voila/files/, which refuses
        assert location.startswith("/"), location
        response = answer(port, location)
        location = response.getheader("Location", "")
    assert response.status >= 400
    assert SECRET not in response.body
    assert b"open_page" not in response.body


def test_page_is_for_this_computer_only(port):
    assert answer(port, "/voila/static/voila.js").status == 200
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):  # another address of this computer
        other.connect(("127.0.0.2", port))


def test_page_refuses_a_foreign_name_that_leads_here(port):
    assert answer(port, "/", host="attacker.example").status == 403


def test_page_names_no_other_host_and_forbids_them_to_the_browser(port):
    response = answer(port, "/")
    text = response.body.decode()
    assert response.status == 200
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text) == []
    assert "open_page" not in text  # what its cells show, not what they are
    policy = dict(part.split(" ", 1) for part in response.getheader("Content-Security-Policy").split("; "))
    assert policy["default-src"] == policy["script-src"].split()[0] == "'self'"
    assert policy["script-src-attr"] == policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert not any("http" in source or source == "*" for part in policy.values() for source in part.split())


def test_settings_allow_no_file_and_no_other_address(tmp_path):
    settings = page_settings(tmp_path, 8866, token="x", open_browser=False)
    assert settings.VoilaConfiguration.file_allowlist == settings.Voila.config_file_paths == []
    assert (settings.Voila.ip, settings.Voila.port_retries) == (HOST, 0)
    assert settings.Voila.tornado_settings["allow_remote_access"] is False


def test_kernels_that_no_page_is_connected_to_are_ended(tmp_path):
    settings = page_settings(tmp_path, 8866, token="x", open_browser=False).VoilaKernelManager
    manager = voila_kernel_manager_factory(AsyncMappingKernelManager, preheat_kernel=True, default_pool_size=1)
    assert set(settings) <= set(manager.class_trait_names())
    assert 0 < settings.cull_interval < settings.cull_idle_timeout
    assert settings.cull_connected is False  # one whose page is open stays


def test_page_is_for_those_who_have_its_token(port):
    response = answer(port, "/", has_token=False)
    assert response.status == 302
    assert response.getheader("Location").startswith("/login")
    assert len(TOKENS[port]) >= 32


@pytest.mark.parametrize("path", ["/", "/voila/static/voila.js", "/login"])
def test_page_refuses_what_another_site_asks_for(port, path):
    assert answer(port, path, Sec_Fetch_Site="cross-site").status == 403
    assert answer(port, "/voila/static/voila.js", Sec_Fetch_Site="same-origin").status == 200


def test_notebook_names_the_index_as_a_value_not_as_code(tmp_path):
    name = "it's \"x\"\n'); import os"
    notebook = page_notebook(tmp_path / name)
    nbformat.validate(notebook)
    opening = notebook.cells[-1].source
    assert eval(opening, {"open_page": lambda folder, **_options: folder}) == str(tmp_path / name)
    assert len(STEPS) == len(notebook.cells) + 1


def test_taken_port_is_an_error_in_one_line(capsys):
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        assert main(["demo", "--port", str(taken), "--no-browser"]) == 1
        assert f"port {taken} cannot be had" in capsys.readouterr().err
        assert free_port(range(taken, taken + 20)) != taken


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "0"], "--port is 0; it must be at least 1"),
        (["--model", "x"], "--model is for a page over your own videos"),
        (["--pretrained", "x"], "--pretrained is for"),
        (["--device", "cpu"], "--device is for"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(capsys, arguments, complaint):
    assert main(["demo", "--no-browser", *arguments]) == 1
    assert complaint in capsys.readouterr().err


def test_model_that_has_moved_is_named(tmp_path, monkeypatch):
    index = write_hostile_index(tmp_path)
    (tmp_path / "model").rename(tmp_path / "moved")
    (shown,) = open_page(str(index)).children
    assert 'role="alert"' in shown.value
    notebooks = []
    monkeypatch.setattr(server, "serve", lambda notebook, **_options: notebooks.append(notebook))
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--index", "index", "--model", "moved", "--device", "cpu"]) == 0
    monkeypatch.chdir("/")  # the page's process works elsewhere
    (page,) = eval(notebooks[0].cells[-1].source, {"open_page": open_page}).children
    assert any(isinstance(one, widgets.Text) for one in parts_of(page))


def test_missing_index_is_said_before_anything_is_served(tmp_path, capsys):
    assert main(["demo", "--index", str(tmp_path), "--no-browser"]) == 1
    assert "no index is there; make one with: diffret index" in capsys.readouterr().err


def test_what_cannot_be_opened_is_said_on_the_page(tmp_path):
    (shown,) = open_page(str(tmp_path / "<b>")).children
    assert 'role="alert"' in shown.value
    assert "&lt;b&gt;" in shown.value
    assert "<b>" not in shown.value


# --- no pickle -------------------------------------------------------------------------------------------------------


def test_nothing_is_unpickled_on_the_way_to_an_answer(index_folder, monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("something was unpickled")

    for module, name in [(pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")]:
        monkeypatch.setattr(module, name, refuse)
    (page,) = open_page(str(index_folder)).children
    (text,) = (one for one in parts_of(page) if isinstance(one, widgets.Text))
    text.value = SENTENCE
    assert any(f"“{SENTENCE}”" in one.value for one in parts_of(page) if isinstance(one, widgets.HTML))


def parts_of(widget):
    """A widget and all widgets in it."""
    return [widget, *(part for child in getattr(widget, "children", ()) for part in parts_of(child))]


@pytest.mark.parametrize("name", ["*.safetensors", "index.json", "files.jsonl"])
def test_pickle_in_the_place_of_an_index_file_is_refused_unopened(index_folder, tmp_path, name):
    copy, witness = tmp_path / "index", tmp_path / "was unpickled"
    copy.mkdir()
    for path in index_folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    for path in copy.glob(name):
        path.write_bytes(f"cbuiltins\nopen\n(V{witness}\nVw\ntR.".encode())
    (shown,) = open_page(str(copy)).children
    assert 'role="alert"' in shown.value
    assert not witness.exists()


# --- in a browser ----------------------------------------------------------------------------------------------------


def test_browser_shows_the_distribution_that_the_core_computes(seen, index_folder):
    index = open_index(index_folder)
    found = search_index(index, model_of(index.description), SENTENCE)
    ask(seen.page, SENTENCE)
    handle = seen.page.get_by_role("slider", name="noise → data")
    for place, state in enumerate(found.search.states.tolist()):
        level = f"noise level {found.search.levels[place]} of"
        seen.page.locator("b", has_text=level).wait_for(timeout=30_000)
        shown = bars(seen.page)
        assert stretched([shown[name] for name in found.search.candidates]) == pytest.approx(stretched(state), abs=0.01)
        handle.press("ArrowRight")
    text = seen.page.inner_text("body")
    for one in found.results:
        assert f"similarity {one.similarity:.3f}" in text
        assert f"generated {one.generated_probability:.3f}" in text
        assert f"combined {one.combined_score:.3f}" in text


def test_browser_compares_a_pinned_run_with_the_next(seen, index_folder):
    index = open_index(index_folder)
    model = model_of(index.description)
    ask(seen.page, SENTENCE)
    seen.page.get_by_role("button", name="Pin this run").click()
    ask(seen.page, ANOTHER)
    seen.page.get_by_text("What changed").wait_for(timeout=30_000)
    assert f"query “{SENTENCE}” → “{ANOTHER}”" in seen.page.inner_text("body")
    for column, sentence in enumerate((SENTENCE, ANOTHER)):
        rows = seen.page.locator("table").nth(column).locator("tr").all_inner_texts()[1:]
        found = search_index(index, model, sentence).results
        assert [row.split("\t")[4] for row in rows] == [f"{one.combined_score:.3f}" for one in found]


def test_browser_reaches_everything_with_the_keyboard(seen):
    page, reached = seen.page, []
    ask(page, SENTENCE)
    page.get_by_label("find").focus()
    for _ in range(40):
        name = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent")
        reached.append(page.evaluate("document.activeElement.ariaLabel") or name.strip())
        page.keyboard.press("Tab")
    wanted = ["find", "sentence", "Run", "Pin this run", "steps", "schedule", "eta", "candidates", "seed", "draws"]
    wanted += ["alpha", "temperature", "play", "back to the start", "one step back", "noise → data", "one step on"]
    wanted += ["word by frame"]
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places)
    page.get_by_label("sentence").fill(ANOTHER)
    page.keyboard.press("Enter")
    page.locator("b", has_text=f"“{ANOTHER}”").first.wait_for(timeout=30_000)
    page.get_by_role("button", name="Pin this run").focus()
    page.keyboard.press("Space")
    page.get_by_text("This run is pinned").wait_for(timeout=30_000)


def test_browser_runs_nothing_of_names_and_words(seen):
    ask(seen.page, HOSTILE_WORDS)
    text = seen.page.inner_text("body").replace("\xa0", " ")
    assert all(name in text for name in HOSTILE_FILES)
    assert HOSTILE_WORDS in text
    assert unharmed(seen.page)


def unharmed(page):
    """No script of a name or a word ran, and none of their tags is in the page."""
    return page.evaluate("window.hurt === undefined && !document.querySelector('img[src=x], svg[onload], [onerror]')")


def test_browser_runs_nothing_of_captions(browser):
    with served(str(ROOT / "tests" / "hostile_page.py")) as port, opened(browser, port) as seen:
        seen.page.locator("svg rect").first.wait_for(timeout=60_000)
        seen.page.get_by_role("button", name="Pin this run").click()
        seen.page.get_by_label("seed").fill("3")
        seen.page.get_by_role("button", name="Run", exact=True).click()
        seen.page.get_by_text("What changed").wait_for(timeout=60_000)
        assert seen.page.inner_text("body").count(HOSTILE_WORDS) > 4
        assert unharmed(seen.page)
        assert seen.errors == []


@pytest.mark.parametrize("width", [1400, 1000, 500])
def test_browser_page_is_no_wider_than_its_window(seen, width, tmp_path):
    seen.page.set_viewport_size({"width": width, "height": 1000})
    seen.page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")
    seen.page.screenshot(path=tmp_path / f"page-{width}.png", full_page=True)


def test_browser_asked_this_computer_only_and_said_no_error(seen, port):
    assert {address.split("/")[2] for address in seen.asked if not address.startswith("data:")} == {f"{HOST}:{port}"}
    assert seen.errors == []
