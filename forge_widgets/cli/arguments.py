"""Arguments that several commands share, so that they are called and explained the same everywhere."""

from __future__ import annotations

import argparse
import re
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What ``add_subparsers`` gives; argparse has no public name for it."""


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``."""
    parser.add_argument(
        "--store",
        metavar="URL",
        help="where sessions are kept: a folder, sqlite:///folder or http(s)://host:port/prefix "
        "(default: $FORGE_WIDGETS_STORE, else a folder in Jupyter's data directory)",
    )


def port(text: str) -> int:
    """Read a port number; for argparse."""
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{number} is no port: expected 0 (any free one) to 65535")
    return number


def origin(text: str) -> str:
    """Read an origin as browsers write it, ``null``, or ``*`` for any; for argparse."""
    if text in ("null", "*") or re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is no origin: expected scheme://host[:port] and nothing behind it, such as https://example.org, or null"
    )


TOKEN_EXPECTED = "1 to 1,000 characters of ASCII without spaces"  # noqa: S105 - said of tokens


def token(text: str) -> str:
    """Read a token as a header can hold it; for argparse."""
    if re.fullmatch(r"[!-~]{1,1000}", text):
        return text
    raise argparse.ArgumentTypeError(f"{len(text)} characters can't be used: expected {TOKEN_EXPECTED}")


def positive(text: str) -> int:
    """Read a whole number from 1; for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small: expected 1 or more")
    return number


def size(text: str) -> int:
    """Read a number of bytes, as ``800``, ``500MB`` or ``1.5 GB`` (powers of 1,000); for argparse."""
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE | re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: expected a number of bytes such as 800, 500MB or 1.5GB")
    return int(float(found[1]) * 1_000 ** " KMGT".index(found[2].upper() or " "))
