"""Serves the demo by voila: to this computer only, no file but the page's own parts, nothing from another host."""

import contextlib
import os
import secrets
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import zmq
from tornado.web import HTTPError
from traitlets.config import Config

HOST = "127.0.0.1"
PORTS = range(8866, 8886)
TEMPLATES = Path(__file__).parent / "jupyter"
REFILL_SECONDS = 3.0
"""When a page has taken the heated kernel, the next one is started so much later: the page is being drawn meanwhile."""

LEFT_SECONDS = 600
"""A kernel that no page is connected to is ended after so long; one whose page is open stays."""

WIDGETS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
"""The only extensions of JupyterLab that the page loads."""
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",  # voila's own start is inline
    "script-src-attr": "'none'",  # no <img onerror=...>, should one ever get into the page
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self' ws://127.0.0.1:* ws://localhost:*",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""What a browser may load and run on this page: what comes from here, and pictures that are in the page itself."""


def serve(notebook: nbformat.NotebookNode, *, port: int | None = None, open_browser: bool = True) -> None:
    """Serve a notebook as a page until Ctrl-C: only what its cells show, never their code.

    Args:
        notebook: From `page_notebook`.
        port: Of this computer; None takes the first free one of PORTS.
        open_browser: Whether to open the page in a browser.

    Raises:
        ModuleNotFoundError: If voila is not installed.
        ValueError: If the port is taken.
    """
    port = free_port(PORTS if port is None else range(port, port + 1))
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # a checker of addresses, never asked here,
    from diffret_core.course.page.guarded import Voila, guarded  # that takes two thirds of the time of this import

    token = secrets.token_urlsafe()
    address = f"http://{HOST}:{port}/?token={token}"

    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(TEMPLATES), os.environ.get("JUPYTER_PATH")]))
    with TemporaryDirectory(prefix="diffret-demo-") as folder:
        path = Path(folder) / "demo.ipynb"
        nbformat.write(notebook, path)
        settings = page_settings(Path(folder), port, token=token, open_browser=open_browser)
        server = guarded(Voila(config=settings), address)
        server.initialize([str(path)])
        print(f"The demo is at {address} for browsers on this computer. Ctrl-C ends it.", flush=True)
        with contextlib.suppress(HTTPError):  # it ends before its kernel has started, which voila cannot end then
            server.start()


def free_port(ports: range) -> int:
    """Find a port of this computer that nothing listens on.

    Raises:
        ValueError: If all are taken.
    """
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left counts as free
            try:
                probe.bind((HOST, port))
                return port
            except (OSError, OverflowError):
                continue
    raise ValueError(f"port {ports[0]} cannot be had: it is taken or not for users; choose another with --port")


def page_settings(folder: Path, port: int, *, token: str, open_browser: bool) -> Config:
    """Give voila's settings; no configuration file of the user's changes them.

    Args:
        folder: Holds the notebook and nothing else.
        port: Of this computer.
        token: Opens the page; without it there is none.
        open_browser: Whether to open the page in a browser.
    """
    settings = Config()
    settings.Voila.update(
        ip=HOST,
        port=port,
        port_retries=0,
        token=token,
        open_browser=open_browser,
        root_dir=str(folder),
        config_file_paths=[],
        log_level="ERROR",
        tornado_settings={
            "allow_remote_access": False,  # refuses a foreign site's name that leads here
            "headers": {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items())},
            "ws_ping_timeout": 30_000,  # what tornado sets anyway, without its warning
        },
    )
    settings.VoilaConfiguration.update(
        template="diffret",
        allow_template_override="NO",
        allow_theme_override="NO",
        file_allowlist=[],
        extension_allowlist=WIDGETS,
        preheat_kernel=True,
    )
    settings.VoilaKernelManager.update(
        fill_delay=REFILL_SECONDS,
        cull_idle_timeout=LEFT_SECONDS,
        cull_interval=LEFT_SECONDS // 10,
        cull_connected=False,
    )
    settings.KernelManager.update(transport_encryption="auto" if zmq.has("curve") else "disabled")
    return settings
