"""Python imports this when it starts: every program and kernel that the tests start finds the network blocked."""

import network_block  # noqa: F401
