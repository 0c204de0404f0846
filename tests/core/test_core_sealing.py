"""Seals: what is kept comes back as it was, or is refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forge_widgets.core.sealing import sealed, unsealed


@given(st.binary(max_size=40))
def test_what_was_sealed_comes_back(plain: bytes) -> None:
    assert bytes(unsealed(sealed(plain)) or b"") == plain


@given(st.binary(max_size=40), st.data())
def test_one_changed_byte_is_seen(plain: bytes, data: st.DataObject) -> None:
    encoded = bytearray(sealed(plain))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    assert unsealed(bytes(encoded)) is None


def test_too_few_bytes_are_no_seal() -> None:
    assert unsealed(b"") is None
    assert unsealed(b"abc") is None
