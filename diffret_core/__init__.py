"""DiffusionRet in small readable files: text-video retrieval as generating a distribution over candidates.

Importing the package imports nothing else; every stage is its own module (README.md has the map).
"""

__version__ = "0.1.0"
