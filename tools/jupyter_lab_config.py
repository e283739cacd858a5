"""JupyterLab as `make lab` starts it. Everything is in the project; nothing is written to the user's own settings."""

from pathlib import Path

import zmq

root = Path(__file__).resolve().parent.parent
c = get_config()  # type: ignore[name-defined]  # noqa: F821  (given by Jupyter)

c.ServerApp.root_dir = str(root)
c.LabApp.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.ServerApp.allow_root = True  # containers and rented machines

# No news pop-up and no look at the network for updates: overrides.json answers the question before it is asked. It also
# keeps widgets in a learner's saved notebook, so that a search box is still there when it is opened again.
c.LabApp.app_settings_dir = str(root / "tools" / "jupyter_lab_settings")
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# Jupytext pairs only in `make notebooks`: a learner's save must never rewrite a script nor block opening a notebook.
# voila serves `make demo` and nothing here; its button in notebooks is switched off in page_config.json.
c.ServerApp.jpserver_extensions = {"jupyterlab_jupytext": False, "voila.server_extension": False}

# Jupyter's default time-out is longer than tornado allows; this is what tornado then sets, without its warning.
c.ServerApp.tornado_settings = {"ws_ping_timeout": 30_000}

# Between server and kernel, encrypted where the installed libraries can: without it the kernel warns at every start.
c.KernelManager.transport_encryption = "auto" if zmq.has("curve") else "disabled"
