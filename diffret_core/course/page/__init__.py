"""The demo as a page of its own: what serves it, and what it opens. Nothing heavy is imported until it is served."""
