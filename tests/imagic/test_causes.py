"""Errors that are raised from others let go of what these held."""

import contextlib
import inspect

import pytest

from imagic.causes import as_cause


@contextlib.contextmanager
def explained():
    try:
        yield
    except KeyError as error:
        raise ValueError("explained") from as_cause(error)


@contextlib.contextmanager
def passing():
    yield


def wrong():
    raise KeyError("wrong")


def test_a_cause_still_tells_where_it_was_raised_and_holds_no_generator():
    with pytest.raises(ValueError, match="explained") as raised, explained(), passing():
        wrong()
    frames = [frame for frame, _ in _frames(raised.value.__cause__.__traceback__)]
    assert [frame.f_code.co_name for frame in frames][-1] == "wrong"
    assert not [frame for frame in frames if frame.f_code.co_flags & inspect.CO_GENERATOR]


def _frames(trace):
    while trace:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
