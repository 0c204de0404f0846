"""The version of the package: its one source, read by the build, the API and the wire."""

__version__ = "0.1.0"
