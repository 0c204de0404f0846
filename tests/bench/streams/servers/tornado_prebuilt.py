"""Tornado with the frame built once and written to each viewer's stream."""

from tests.bench.streams.servers.tornado import serve_prebuilt as serve

__all__ = ["serve"]
