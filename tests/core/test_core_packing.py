"""A text that was packed once is read by everybody who reads zlib or gzip, whatever stands around it."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.packing import gzip_envelope, pack, zlib_envelope

TEXTS = st.binary(max_size=3_000) | st.text('01,[]{}"', max_size=3_000).map(str.encode)
_INFLATE_BY_STREAM = """
const sent = new Blob([require('node:fs').readFileSync(0)]).stream();
const whole = new Response(sent.pipeThrough(new DecompressionStream(FORMAT)));
whole.arrayBuffer().then((text) => process.stdout.write(Buffer.from(text)));
"""


@given(TEXTS)
def test_a_packed_text_in_a_zlib_stream_is_the_text(text: bytes) -> None:
    inflating = zlib.decompressobj()
    assert inflating.decompress(zlib_envelope(text, pack(text))) == text
    assert (inflating.eof, inflating.unused_data) == (True, b"")


@given(TEXTS, TEXTS, TEXTS)
def test_a_packed_text_in_the_midst_of_a_gzip_member_is_the_text(before: bytes, text: bytes, after: bytes) -> None:
    member = gzip_envelope(before, text, pack(text), after)
    with gzip.GzipFile(fileobj=io.BytesIO(member)) as file:
        assert file.read() == before + text + after


@pytest.mark.parametrize("kind", ["deflate", "gzip"])
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_what_inflates_in_a_browser_inflates_it(kind: str) -> None:
    text = b'{"values":[' + b",".join(b"%d" % (number * number) for number in range(5_000)) + b"]}"
    packed = pack(text)
    sent = zlib_envelope(text, packed) if kind == "deflate" else gzip_envelope(b"[1,", text, packed, b"]")
    assert len(sent) < len(text)
    script = _INFLATE_BY_STREAM.replace("FORMAT", repr(kind))
    read = subprocess.run(["node", "-e", script], input=sent, capture_output=True, check=True, timeout=30)
    assert read.stdout == (text if kind == "deflate" else b"[1," + text + b"]")
