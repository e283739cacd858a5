"""For all tests: shapes and types are checked at every call. That nothing uses the network is the other conftest's."""

from jaxtyping import install_import_hook

# Before any test imports the package: every function whose signature states shapes is checked when called.
install_import_hook("diffret_core", "beartype.beartype")

import diffret_core.torchvision_operators  # noqa: E402, F401 (before any test imports open_clip or torchvision itself)
