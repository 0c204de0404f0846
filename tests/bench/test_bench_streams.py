"""What the measures of the server make of bytes and moments. The figures themselves are no test's business."""

from __future__ import annotations

import zlib

import pytest

from tests.bench.streams import speech
from tests.bench.streams.encodings import ENCODERS, rows
from tests.bench.streams.moments import ages_of_all, ages_of_newest, covered
from tests.bench.streams.reading import Reader, numbered
from tests.bench.streams.samples import MOST, ranked

HEARD = {
    "messages": [
        {"span": (2, 3), "receipts": [(0, 10.0), (1, 11.0)]},
        {"span": (4, 4), "receipts": [(0, 12.0)]},
        {"span": (4, 5), "receipts": [(1, 13.0)]},
    ]
}


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_is_read_as_it_was_built(size: int) -> None:
    payload = bytes(size)
    data = speech.frame(speech.BINARY, payload)
    assert list(speech.frames(data + b"\x81")) == [(speech.BINARY, payload, len(data))]
    assert list(speech.frames(data[:-1])) == []


def test_frames_of_one_packet_are_read_one_by_one() -> None:
    data = speech.frame(speech.TEXT, b"one") + speech.frame(speech.PING, b"two")
    assert [(opcode, payload) for opcode, payload, _ in speech.frames(data)] == [
        (speech.TEXT, b"one"),
        (speech.PING, b"two"),
    ]


def test_a_peers_message_carries_its_number() -> None:
    message = numbered(17, 300)
    assert (len(message), Reader().span(speech.TEXT, message)) == (300, (17, 17))
    assert Reader().span(speech.TEXT, b'42["frame","' + message + b'"]') == (17, 17)


def test_a_frame_as_text_says_what_it_stands_for() -> None:
    assert Reader().span(speech.TEXT, b'{"type":"frame","from":3,"to":200}') == (3, 200)
    assert Reader().span(speech.TEXT, b'{"type":"heartbeat","top":3}') is None


def test_a_frame_in_brief_says_what_it_stands_for() -> None:
    message = bytes([1, 3, 0x80 | 44, 2, 5, *bytes(20)])
    assert Reader().span(speech.BINARY, message) == (300, 304)


def test_a_frame_that_goes_on_from_another_says_what_it_stands_for() -> None:
    reader = Reader()
    assert reader.span(speech.TEXT, b'{"type":"shape","id":1,"names":["loss"]}') is None
    alone = bytes([0b1000_1010, 1, 0x80 | 44, 2, 7, *bytes(16), 3])
    onward = bytes([0b1010_0000, (300 + 3) % 256])
    assert reader.span(speech.BINARY, alone) == (300, 302)
    assert reader.span(speech.BINARY, onward) == (303, 303)
    assert reader.span(speech.BINARY, bytes([0b1010_1000, (300 + 2) % 256, 2])) == (302, 303)


def test_a_deflated_frame_says_what_it_stands_for() -> None:
    assert Reader().span(speech.BINARY, zlib.compress(b'{"type":"frame","from":1,"to":9}')) == (1, 9)


def test_a_viewer_has_a_row_once_it_has_that_or_a_later_one() -> None:
    assert covered(HEARD, [3, 4, 5, 6]) == {3: [10.0, 11.0], 4: [12.0, 13.0], 5: [13.0], 6: []}


def test_ages_are_of_the_newest_row_of_each_frame_and_of_every_row() -> None:
    emitted = {2: 9.0, 3: 9.5, 4: 11.5, 5: 12.5, 6: 13.0}
    assert sorted(ages_of_newest(HEARD, emitted)) == [0.5, 0.5, 0.5, 1.5]
    # The first frame may stand for what lies before the counting, and no later one for the last row.
    assert sorted(ages_of_all(HEARD, emitted)) == [0.5, 0.5, 1.5]


def test_of_many_samples_some_are_printed_and_their_quantiles_stay() -> None:
    few = ranked([0.002, 0.001])
    many = ranked(place / 1e6 for place in range(100 * MOST))
    assert few == [1.0, 2.0]
    assert len(many) == MOST
    assert many[MOST // 2] == pytest.approx(50.0, abs=0.1)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoding_of_others_takes_bytes_for_every_message(name: str) -> None:
    encode = ENCODERS[name]()
    steps = list(rows(10.0, 3.0))
    sizes = [encode(steps[at : at + 5]) for at in range(0, len(steps), 5)]
    assert len(steps) == 30
    assert min(sizes) > 5
